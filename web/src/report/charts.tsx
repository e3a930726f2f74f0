// Charts as SVG with attributes only, so that a saved file looks like the page without its style sheet.
import type { ComponentChildren, JSX } from "preact";
import type { Palette, Shape } from "./colors";
import { fixed, short } from "./format";
import type { Interval } from "./types";

const FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Noto Sans CJK SC', sans-serif";

export interface Series {
  run: number;
  name: string;
  shape: Shape;
}
interface Area {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}
const areaOf = (look: Palette): Area => ({ width: look.width, height: look.width > 450 ? 340 : 300, left: 58, right: 16, top: 14, bottom: 48 });

interface Axis {
  least: number;
  most: number;
  label: string;
  percent?: boolean;
}

/** Round steps that divide a range into about `count` parts. */
export function ticks(least: number, most: number, count = 5): number[] {
  const raw = (most - least) / count;
  if (!(raw > 0)) return [least];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) as number;
  const found = [];
  for (let k = Math.ceil(least / step - 1e-9); k * step <= most + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

const tickText = (axis: Axis, value: number) => (axis.percent ? `${short(value * 100)}` : short(value));

function Axes(props: { area: Area; x: Axis; y: Axis; colors: Palette; bands?: string[] }) {
  const { area, x, y, colors, bands } = props;
  const right = area.width - area.right;
  const floor = area.height - area.bottom;
  const px = scale(x, area.left, right);
  const py = scale(y, floor, area.top);
  const unit = (axis: Axis) => axis.label + (axis.percent ? " (%)" : "");
  return (
    <g font-family={FONT} font-size="12" fill={colors.muted}>
      {ticks(y.least, y.most).map((value) => (
        <g key={value}>
          <line x1={area.left} x2={right} y1={py(value)} y2={py(value)} stroke={colors.grid} />
          <text x={area.left - 7} y={py(value) + 4} text-anchor="end">
            {tickText(y, value)}
          </text>
        </g>
      ))}
      {bands
        ? bands.map((name, at) => (
            <text key={name} x={px(at + 0.5)} y={floor + 17} text-anchor="middle">
              {name}
            </text>
          ))
        : ticks(x.least, x.most, 6).map((value) => (
            <g key={value}>
              <line x1={px(value)} x2={px(value)} y1={floor} y2={floor + 4} stroke={colors.muted} />
              <text x={px(value)} y={floor + 17} text-anchor="middle">
                {tickText(x, value)}
              </text>
            </g>
          ))}
      <line x1={area.left} x2={right} y1={floor} y2={floor} stroke={colors.muted} />
      <text x={(area.left + right) / 2} y={area.height - 10} text-anchor="middle" fill={colors.text}>
        {unit(x)}
      </text>
      <text transform={`translate(14 ${(area.top + floor) / 2}) rotate(-90)`} text-anchor="middle" fill={colors.text}>
        {unit(y)}
      </text>
    </g>
  );
}

const scale =
  (axis: { least: number; most: number }, from: number, to: number) =>
  (value: number): number =>
    from + ((value - axis.least) / (axis.most - axis.least || 1)) * (to - from);

export function Mark(props: { shape: Shape; x: number; y: number; r: number; fill: string; stroke: string; width?: number }) {
  const { shape, x, y, r, fill, stroke, width = 1 } = props;
  const look = { fill, stroke, "stroke-width": width };
  if (shape === "circle") return <circle cx={x} cy={y} r={r} {...look} />;
  if (shape === "square") return <rect x={x - r * 0.9} y={y - r * 0.9} width={r * 1.8} height={r * 1.8} rx={r * 0.2} {...look} />;
  const d = r * 1.25;
  return <path d={`M${x} ${y - d}L${x + d} ${y}L${x} ${y + d}L${x - d} ${y}Z`} {...look} />;
}

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const legendColumns = (count: number, area: Area): number => (count <= 6 ? 1 : area.width > 450 ? 3 : 2);

/** The legend is part of the picture, so that a saved file has it. */
function Legend(props: { series: readonly Series[]; area: Area; colors: Palette }) {
  const { series, area, colors } = props;
  const across = legendColumns(series.length, area);
  const step = (area.width - area.left) / across;
  return (
    <g font-family={FONT} font-size="12" fill={colors.text}>
      {series.map((one, at) => {
        const x = area.left + (at % across) * step;
        const y = area.height + 12 + Math.floor(at / across) * 19;
        return (
          <g key={one.run}>
            <Mark shape={one.shape} x={x + 6} y={y} r={5} fill={colors.run(one.run)} stroke={colors.paper} />
            <text x={x + 18} y={y + 4}>
              {`${one.run + 1}  ${cut(one.name, Math.floor((step - 34) / 6.6))}`}
            </text>
          </g>
        );
      })}
    </g>
  );
}

function Sheet(props: { label: string; series: readonly Series[]; colors: Palette; children: ComponentChildren }) {
  const area = areaOf(props.colors);
  const height = area.height + 8 + Math.ceil(props.series.length / legendColumns(props.series.length, area)) * 19;
  return (
    <svg
      xmlns="http://www.w3.org/2000/svg"
      viewBox={`0 0 ${area.width} ${height}`}
      width={area.width}
      height={height}
      role="img"
      aria-label={props.label}
    >
      <rect width={area.width} height={height} fill={props.colors.paper} />
      {props.children}
      <Legend series={props.series} area={area} colors={props.colors} />
    </svg>
  );
}

export function LineChart(props: {
  label: string;
  x: string;
  y: string;
  lines: { series: Series; points: [number, number][]; steps?: boolean; band?: [number, number, number][] }[];
  percent?: boolean;
  top?: number;
  colors: Palette;
}): JSX.Element {
  const { lines, colors } = props;
  const area = areaOf(colors);
  const all = lines.flatMap((line) => line.points);
  const highest = props.top ?? Math.max(...all.map((p) => p[1]), 0) * 1.06;
  const x: Axis = { least: Math.min(...all.map((p) => p[0]), 0), most: Math.max(...all.map((p) => p[0]), 0.01), label: props.x };
  const y: Axis = { least: 0, most: highest || 1, label: props.y, percent: props.percent };
  const px = scale(x, area.left, area.width - area.right);
  const py = scale(y, area.height - area.bottom, area.top);
  return (
    <Sheet label={props.label} series={lines.map((line) => line.series)} colors={colors}>
      <Axes area={area} x={x} y={y} colors={colors} />
      {lines.map(({ series, points, steps, band }) => {
        const path = points
          .map(([a, b], at) => (at === 0 ? `M${fixed(px(a), 1)} ${fixed(py(b), 1)}` : steps ? `H${fixed(px(a), 1)}V${fixed(py(b), 1)}` : `L${fixed(px(a), 1)} ${fixed(py(b), 1)}`))
          .join("");
        const every = Math.max(1, Math.ceil(points.length / 8));
        return (
          <g key={series.run}>
            {band?.length ? <path d={bandPath(band, px, py)} fill={colors.run(series.run)} fill-opacity="0.14" /> : null}
            <path d={path} fill="none" stroke={colors.run(series.run)} stroke-width="2" stroke-linejoin="round" />
            {!steps &&
              points
                .filter((_, at) => at % every === (series.run * 2) % every)
                .map(([a, b]) => (
                  <Mark key={a} shape={series.shape} x={px(a)} y={py(b)} r={3.5} fill={colors.run(series.run)} stroke={colors.paper} />
                ))}
          </g>
        );
      })}
    </Sheet>
  );
}

type Scale = (value: number) => number;
/** Between low and high of [x, low, high]. */
function bandPath(band: [number, number, number][], px: Scale, py: Scale): string {
  const point = (x: number, y: number) => `${fixed(px(x), 1)} ${fixed(py(y), 1)}`;
  const up = band.map(([x, low]) => point(x, low));
  const back = [...band].reverse().map(([x, , high]) => point(x, high));
  return `M${[...up, ...back].join("L")}Z`;
}

export interface BandPoint {
  value: number | null;
  interval: Interval | null;
}

/** Values with intervals in bands, runs side by side; a dash per band is chance. */
export function BandChart(props: {
  label: string;
  x: string;
  y: string;
  bands: string[];
  rows: { series: Series; points: BandPoint[] }[];
  chance: (number | null)[];
  percent?: boolean;
  colors: Palette;
}): JSX.Element {
  const { bands, rows, colors } = props;
  const area = areaOf(colors);
  const highest = Math.max(...rows.flatMap((row) => row.points.map((p) => Math.max(p.value ?? 0, p.interval?.[1] ?? 0))), 0);
  const x: Axis = { least: 0, most: bands.length, label: props.x };
  const y: Axis = { least: 0, most: props.percent ? 1 : highest * 1.08 || 1, label: props.y, percent: props.percent };
  const px = scale(x, area.left, area.width - area.right);
  const py = scale(y, area.height - area.bottom, area.top);
  const step = Math.min(0.16, 0.76 / Math.max(1, rows.length));
  return (
    <Sheet label={props.label} series={rows.map((row) => row.series)} colors={colors}>
      <Axes area={area} x={x} y={y} colors={colors} bands={bands} />
      {props.chance.map(
        (value, at) =>
          value !== null && (
            <line
              key={at}
              x1={px(at + 0.08)}
              x2={px(at + 0.92)}
              y1={py(value)}
              y2={py(value)}
              stroke={colors.muted}
              stroke-width="1.5"
              stroke-dasharray="4 3"
            />
          ),
      )}
      {rows.map(({ series, points }, order) =>
        points.map((point, at) => {
          if (point.value === null) return null;
          const cx = px(at + 0.5 + (order - (rows.length - 1) / 2) * step);
          const color = colors.run(series.run);
          return (
            <g key={`${series.run}-${at}`}>
              {point.interval && (
                <path
                  d={`M${cx - 3} ${py(point.interval[0])}H${cx + 3}M${cx} ${py(point.interval[0])}V${py(point.interval[1])}M${cx - 3} ${py(point.interval[1])}H${cx + 3}`}
                  stroke={color}
                  stroke-width="1.5"
                  fill="none"
                />
              )}
              <Mark shape={series.shape} x={cx} y={py(point.value)} r={rows.length > 8 ? 3 : 4.5} fill={color} stroke={colors.paper} />
            </g>
          );
        }),
      )}
    </Sheet>
  );
}

/** Points with intervals in both directions, both axes from 0 to 1. */
export function CrossChart(props: {
  label: string;
  x: string;
  y: string;
  points: { series: Series; x: number; y: number; xs: Interval | null; ys: Interval | null }[];
  colors: Palette;
}): JSX.Element {
  const { colors } = props;
  const area = areaOf(colors);
  const x: Axis = { least: 0, most: 1, label: props.x, percent: true };
  const y: Axis = { least: 0, most: 1, label: props.y, percent: true };
  const px = scale(x, area.left, area.width - area.right);
  const py = scale(y, area.height - area.bottom, area.top);
  return (
    <Sheet label={props.label} series={props.points.map((point) => point.series)} colors={colors}>
      <Axes area={area} x={x} y={y} colors={colors} />
      {props.points.map((point) => {
        const color = colors.run(point.series.run);
        return (
          <g key={point.series.run}>
            {point.xs && <line x1={px(point.xs[0])} x2={px(point.xs[1])} y1={py(point.y)} y2={py(point.y)} stroke={color} stroke-width="1.5" />}
            {point.ys && <line x1={px(point.x)} x2={px(point.x)} y1={py(point.ys[0])} y2={py(point.ys[1])} stroke={color} stroke-width="1.5" />}
            <Mark shape={point.series.shape} x={px(point.x)} y={py(point.y)} r={5.5} fill={color} stroke={colors.paper} />
          </g>
        );
      })}
    </Sheet>
  );
}

/** Where points fall: cells of the image, one hue; the ramp is by share of the fullest cell, as a square root. */
export function HeatMap(props: { label: string; title: string; notes: string[]; size: number; counts: number[]; colors: Palette }): JSX.Element {
  const { size, counts, colors } = props;
  const cell = 240 / size;
  const most = Math.max(...counts, 1);
  const rows = new Map<number, string>();
  counts.forEach((count, at) => {
    if (!count) return;
    const level = Math.max(1, Math.min(colors.ramp.length - 1, Math.ceil(Math.sqrt(count / most) * (colors.ramp.length - 1))));
    const x = 10 + (at % size) * cell;
    const y = 34 + Math.floor(at / size) * cell;
    rows.set(level, `${rows.get(level) ?? ""}M${x} ${y}h${cell}v${cell}h${-cell}z`);
  });
  const name = cut(props.title, 34);
  return (
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 320" width="260" height="320" role="img" aria-label={props.label}>
      <rect width="260" height="320" fill={colors.paper} />
      <text x="10" y="21" font-family={FONT} font-size="13" font-weight="600" fill={colors.text}>
        {name}
      </text>
      <rect x="10" y="34" width="240" height="240" fill={colors.ramp[0]} />
      {[...rows].map(([level, path]) => (
        <path key={level} d={path} fill={colors.ramp[level]} />
      ))}
      <rect x="10" y="34" width="240" height="240" fill="none" stroke={colors.grid} />
      {props.notes.map((note, at) => (
        <text key={at} x="10" y={293 + at * 17} font-family={FONT} font-size="12" fill={colors.muted}>
          {note}
        </text>
      ))}
    </svg>
  );
}
