// Charts of one set: each can be saved, and each is also a table.
import type { JSX, VNode } from "preact";
import { BandChart, CrossChart, HeatMap, LineChart, type Series } from "./charts";
import { DARK, LIGHT, runShape, type Palette } from "./colors";
import { percent, fixed, short } from "./format";
import { DataTable, say, type SimpleTable } from "./parts";
import { isDark, isNarrow } from "./prefs";
import { download, pngOf, svgText } from "./save";
import { change, chosenRuns, report, state } from "./state";
import type { Cell, Report, StratumRow } from "./types";
import { SetChoice } from "./setchoice";
import { metricName, named, stratumName, told } from "./names";
import { words } from "./words";

export function Plots() {
  const w = words.value;
  const found = report.value as Report;
  const s = state.value;
  const cells = found.cells.filter((cell) => cell.set === s.set && chosenRuns.value.includes(cell.run));
  const set = found.sets[s.set];
  return (
    <div>
      <div class="bar">
        <SetChoice />
      </div>
      {!cells.length ? (
        <p class="empty">{chosenRuns.value.length ? w.noFigures : w.noRuns}</p>
      ) : (
        <div class="charts">
          <Success cells={cells} />
          <Errors cells={cells} />
          <Strata cells={cells} />
          <Absence cells={cells} token={set.absent_token} />
          <Consistency cells={cells} />
          <Unparsed cells={cells} />
          <Maps cells={cells} />
        </div>
      )}
    </div>
  );
}

const seriesOf = (cell: Cell): Series => ({
  run: cell.run,
  name: (report.value as Report).runs[cell.run]?.name ?? "",
  shape: runShape(cell.run),
});

function Figure(props: {
  title: string;
  file: string;
  draw: (colors: Palette) => VNode;
  table: SimpleTable;
  controls?: JSX.Element;
  note?: string;
}) {
  const w = words.value;
  const set = (report.value as Report).sets[state.value.set];
  const name = `${set.name}_${set.split}_${props.file}`.replace(/[^\w.-]+/g, "_");
  // Saved pictures are for papers: always on white.
  const save = async (kind: "svg" | "png") => {
    const text = svgText(props.draw(LIGHT));
    if (kind === "svg") download(`${name}.svg`, text, "image/svg+xml");
    else {
      const picture = await pngOf(text).catch(() => null);
      if (picture) download(`${name}.png`, picture);
      else say(w.undrawn);
    }
  };
  return (
    <figure class="chart card-surface">
      <figcaption>
        <h2>{props.title}</h2>
        <span class="save">
          <button type="button" class="button quiet" onClick={() => save("svg")} aria-label={`${w.download} SVG: ${props.title}`}>
            SVG
          </button>
          <button type="button" class="button quiet" onClick={() => save("png")} aria-label={`${w.download} PNG: ${props.title}`}>
            PNG
          </button>
        </span>
      </figcaption>
      {props.controls}
      {props.draw({ ...(isDark.value ? DARK : LIGHT), width: isNarrow.value ? 360 : 560 })}
      {props.note && <p class="muted">{props.note}</p>}
      <details class="as-table">
        <summary>{w.asTable}</summary>
        <DataTable table={props.table} label={props.title} />
      </details>
    </figure>
  );
}

const shareText = (value: number | null | undefined): string => (typeof value === "number" ? percent(value) : "–");
const runName = (cell: Cell): string => (report.value as Report).runs[cell.run]?.name ?? "";

function Success({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const known = cells.filter((cell) => cell.curve?.success.some((value) => value !== null));
  if (!known.length) return null;
  const table = {
    head: [w.threshold, ...known.map(runName)],
    rows: known[0].curve!.r.map((r, at) => [short(r), ...known.map((cell) => shareText(cell.curve!.success[at]))]),
  };
  return (
    <Figure
      title={w.successTitle}
      file="success"
      table={table}
      draw={(colors) => (
        <LineChart
          label={`${w.successTitle}${w.colon}${known.map(runName).join(", ")}`}
          x={w.threshold}
          y={w.success}
          percent
          top={1}
          colors={colors}
          lines={known.map((cell) => ({
            series: seriesOf(cell),
            points: cell.curve!.r.flatMap((r, at) => {
              const value = cell.curve!.success[at];
              return value === null ? [] : [[r, value] as [number, number]];
            }),
            band: cell.curve!.r.flatMap((r, at) => {
              const low = cell.curve!.low?.[at] ?? null;
              const high = cell.curve!.high?.[at] ?? null;
              return low === null || high === null ? [] : [[r, low, high] as [number, number, number]];
            }),
          }))}
        />
      )}
    />
  );
}

function Errors({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const known = cells.filter((cell) => cell.errors_hist && cell.errors_hist.counts.some((count) => count > 0));
  if (!known.length) return null;
  const shares = known.map((cell) => {
    const { counts } = cell.errors_hist!;
    const total = counts.reduce((sum, count) => sum + count, 0);
    return counts.map((count) => count / total);
  });
  const edges = known[0].errors_hist!.edges;
  // The last bin holds everything above the others; drawn to scale it would fill the chart.
  const { length } = edges;
  const isOpen = length > 3 && edges[length - 1] - edges[length - 2] > 2 * (edges[1] - edges[0]);
  const shown = isOpen ? [...edges.slice(0, -1), edges[length - 2] + (edges[1] - edges[0])] : edges;
  const table = {
    head: [w.errorAxis, ...known.map(runName)],
    rows: edges.slice(0, -1).map((edge, at) => [
      `${short(edge)}–${short(edges[at + 1])}`,
      ...known.map((cell, number) => `${cell.errors_hist!.counts[at]} (${percent(shares[number][at])})`),
    ]),
  };
  return (
    <Figure
      title={w.errorsTitle}
      file="errors"
      table={table}
      note={isOpen ? w.openBin(short(edges[length - 2])) : undefined}
      draw={(colors) => (
        <LineChart
          label={`${w.errorsTitle}${w.colon}${known.map(runName).join(", ")}`}
          x={w.errorAxis}
          y={w.share}
          percent
          colors={colors}
          lines={known.map((cell, number) => ({
            series: seriesOf(cell),
            steps: true,
            points: shown.map((edge, at) => [edge, shares[number][at] ?? 0] as [number, number]),
          }))}
        />
      )}
    />
  );
}

export function binName(row: StratumRow): string {
  if (row.name !== null) return named("values", row.name);
  const number = (value: number) => short(value);
  return row.to === null ? `≥ ${number(row.from ?? 0)}` : `${number(row.from ?? 0)}–${number(row.to)}`;
}

/** The strata of a cell. Files without `scene.json`'s facts still have sizes, under another name. */
function strataOf(cell: Cell): Record<string, StratumRow[]> {
  const found = Object.fromEntries(Object.entries(cell.by_stratum ?? {}).filter(([, rows]) => rows.length));
  const sizes = (cell.by_mask_area ?? []).filter((row) => row.samples > 0);
  if (!found.mask_share && sizes.length) {
    found.mask_share = sizes.map((row) => ({ ...row, from: row.area_from, to: row.area_to, name: null }));
  }
  return found;
}

function Strata({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const found = report.value as Report;
  const s = state.value;
  const strata = [...new Set(cells.flatMap((cell) => Object.keys(strataOf(cell))))];
  if (!strata.length) return null;
  const stratum = strata.includes(s.stratum) ? s.stratum : strata[0];
  const rowsOf = (cell: Cell): StratumRow[] => strataOf(cell)[stratum] ?? [];
  const all = cells.flatMap(rowsOf);
  const metrics = [...new Set(all.flatMap((row) => Object.keys(row.metrics)))].filter((key) =>
    all.some((row) => typeof row.metrics[key] === "number"),
  );
  const metric = metrics.includes(s.metric) ? s.metric : (metrics[0] ?? "hit_at_mask");
  const info = found.metrics.find((m) => m.key === metric);
  const isPercent = info?.percent ?? !metric.includes("l2");
  // Runs of older files may lack a bin; bins are told apart by their bounds.
  const keyOf = (row: StratumRow) => row.name ?? `${row.from}`;
  const bins = [...new Map(all.map((row) => [keyOf(row), row])).values()].sort((a, b) => (a.from ?? 0) - (b.from ?? 0));
  const at = (cell: Cell, bin: StratumRow) => rowsOf(cell).find((row) => keyOf(row) === keyOf(bin));
  const title = (key: string) => metricName(found.metrics.find((m) => m.key === key) ?? { key, title: key });
  const value = (number: number | null | undefined) =>
    typeof number === "number" ? (isPercent ? percent(number) : fixed(number, 3)) : "–";
  const table = {
    head: [stratumName(stratum, found.strata), w.count, ...cells.flatMap((cell) => [runName(cell), w.interval])],
    rows: bins.map((bin) => [
      binName(bin),
      Math.max(...cells.map((cell) => at(cell, bin)?.samples ?? 0)),
      ...cells.flatMap((cell) => {
        const row = at(cell, bin);
        const ci = row?.ci95?.[metric];
        return [value(row?.metrics[metric]), ci ? `[${value(ci[0])}, ${value(ci[1])}]` : "–"];
      }),
    ]),
  };
  return (
    <Figure
      title={`${title(metric)}${w.colon}${stratumName(stratum, found.strata)}`}
      file={`${metric}_by_${stratum}`}
      table={table}
      controls={
        <div class="bar">
          <label class="field">
            <span>{w.stratum}</span>
            <select value={stratum} onChange={(event) => change({ stratum: event.currentTarget.value })}>
              {strata.map((name) => (
                <option key={name} value={name}>
                  {stratumName(name, found.strata)}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span>{w.metric}</span>
            <select value={metric} onChange={(event) => change({ metric: event.currentTarget.value })}>
              {metrics.map((key) => (
                <option key={key} value={key}>
                  {title(key)}
                </option>
              ))}
            </select>
          </label>
        </div>
      }
      draw={(colors) => (
        <BandChart
          label={`${title(metric)}${w.and}${stratumName(stratum, found.strata)}${w.colon}${cells.map(runName).join(", ")}`}
          x={stratumName(stratum, found.strata)}
          y={title(metric)}
          percent={isPercent}
          bands={bins.map(binName)}
          chance={bins.map((bin) => (metric === "hit_at_mask" ? (cells.map((cell) => at(cell, bin)?.chance_uniform ?? null).find((c) => c !== null) ?? null) : null))}
          colors={colors}
          rows={cells.map((cell) => ({
            series: seriesOf(cell),
            points: bins.map((bin) => {
              const row = at(cell, bin);
              return { value: row?.metrics[metric] ?? null, interval: row?.ci95?.[metric] ?? null };
            }),
          }))}
        />
      )}
      note={metric === "hit_at_mask" && all.some((row) => row.chance_uniform !== null) ? `- - - ${w.chanceOf}${w.colon}${w.uniformChance}` : undefined}
    />
  );
}

function Absence({ cells, token }: { cells: Cell[]; token: string }) {
  const w = words.value;
  const isNumber = (value: number | null | undefined): value is number => typeof value === "number";
  const points = cells.flatMap((cell) => {
    const x = cell.metrics.not_visible_recall ?? cell.metrics.not_visible_accuracy;
    const y = cell.metrics.not_visible_precision;
    if (!isNumber(x) || !isNumber(y)) return [];
    const xs = cell.ci95.not_visible_recall ?? cell.ci95.not_visible_accuracy ?? null;
    return [{ cell, series: seriesOf(cell), x, y, xs, ys: cell.ci95.not_visible_precision ?? null }];
  });
  if (!points.length) return null;
  const interval = (ci: [number, number] | null) => (ci ? `[${percent(ci[0])}, ${percent(ci[1])}]` : "–");
  const table = {
    head: [w.run, w.recall, w.interval, w.precision, w.interval],
    rows: points.map((p) => [runName(p.cell), percent(p.x), interval(p.xs), percent(p.y), interval(p.ys)]),
  };
  return (
    <Figure
      title={`${w.absenceTitle} (${token})`}
      file="absence"
      table={table}
      draw={(colors) => (
        <CrossChart label={`${w.absenceTitle}${w.colon}${points.map((p) => runName(p.cell)).join(", ")}`} x={w.recall} y={w.precision} points={points} colors={colors} />
      )}
    />
  );
}

/** How often all answers of a pair of samples, or of an object, are right. */
function Consistency({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const rows = cells.flatMap((cell) =>
    Object.entries(cell.consistency ?? {}).map(([name, row]) => [
      runName(cell),
      named("consistency", name),
      shareText(row.value),
      row.ci95 ? `[${percent(row.ci95[0])}, ${percent(row.ci95[1])}]` : "–",
      row.units,
      shareText(row.independent),
    ]),
  );
  if (!rows.length) return null;
  return (
    <section class="chart card-surface" aria-label={w.consistencyTitle}>
      <h2>{w.consistencyTitle}</h2>
      <DataTable table={{ head: [w.run, w.unit, w.value, w.interval, w.count, w.independent], rows }} label={`${w.consistencyTitle}${w.colon}${w.asTable}`} />
    </section>
  );
}

function Unparsed({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const reasons = [...new Set(cells.flatMap((cell) => Object.keys(cell.unparsed_reasons ?? {})))];
  if (!reasons.length) return null;
  const table = { head: [w.reason, ...cells.map(runName)], rows: reasons.map((reason) => [told(reason), ...cells.map((cell) => cell.unparsed_reasons?.[reason] ?? 0)]) };
  return (
    <section class="chart card-surface" aria-label={w.unparsedTitle}>
      <h2>{w.unparsedTitle}</h2>
      <DataTable table={table} label={`${w.unparsedTitle}${w.colon}${w.asTable}`} />
    </section>
  );
}

function Maps({ cells }: { cells: Cell[] }) {
  const w = words.value;
  const known = cells.filter((cell) => cell.map && cell.map.counts.some((count) => count > 0));
  return (
    <>
      {known.map((cell) => {
        const { size, counts } = cell.map!;
        const total = counts.reduce((sum, count) => sum + count, 0);
        const most = Math.max(...counts);
        const outside = cell.map!.outside ?? 0;
        const notes = [[w.mapPoints(total), ...(outside ? [w.outside(outside)] : [])].join(w.semicolon), w.mapNote(percent(most / total))];
        const fullest = counts
          .map((count, at) => ({ count, at }))
          .filter(({ count }) => count > 0)
          .sort((a, b) => b.count - a.count)
          .slice(0, 20);
        const table = {
          head: [`${w.x}, ${w.y}`, w.count, w.share],
          rows: fullest.map(({ count, at }) => [
            `${fixed(((at % size) + 0.5) / size, 3)}, ${fixed((Math.floor(at / size) + 0.5) / size, 3)}`,
            count,
            percent(count / total),
          ]),
        };
        return (
          <Figure
            key={cell.run}
            title={`${w.mapTitle}${w.colon}${runName(cell)}`}
            file={`map_${runName(cell)}`}
            table={table}
            note={w.mapHelp}
            draw={(colors) => (
              <HeatMap label={`${w.mapTitle}${w.colon}${[runName(cell), ...notes].join(w.semicolon)}`} title={`${cell.run + 1}  ${runName(cell)}`} notes={notes} size={size} counts={counts} colors={colors} />
            )}
          />
        );
      })}
    </>
  );
}
