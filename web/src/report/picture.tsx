// One image with what is drawn on it: mask outline, truth, the answers of the chosen runs.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { runColor, runShape } from "./colors";
import { Mark } from "./charts";
import type { SetIndex } from "./data";
import { told, toldIn } from "./names";
import type { Corners, Detail, Picture as Image } from "./types";
import { words } from "./words";

export interface Point {
  run: number;
  x: number;
  y: number;
}

/** The points of the chosen runs for one sample; answers outside the image are drawn at its edge. */
export function pointsOf(index: SetIndex, sample: number, runs: readonly number[]): Point[] {
  const found: Point[] = [];
  for (const run of runs) {
    const columns = index.runs.get(run);
    if (!columns) continue;
    const x = columns.x[sample];
    if (x === x) found.push({ run, x, y: columns.y[sample] });
  }
  return found;
}

/** The boxes that the chosen runs said of one sample, and the true one; they are part of its details. */
export interface Boxes {
  said: { run: number; box: Corners }[];
  truth: Corners | null;
}

export function boxesOf(detail: Detail | undefined, runs: readonly number[]): Boxes {
  const found: Boxes = { said: [], truth: null };
  for (const run of runs) {
    const one = detail?.runs[String(run)];
    if (one?.box) found.said.push({ run, box: one.box });
    found.truth ??= one?.true_box ?? null;
  }
  return found;
}

/** Widths are in pixels of the screen: `unit` is how many pixels of the image one of them is. */
export function Overlay(props: {
  image: Image;
  unit: number;
  outline?: number[][];
  truth: { x: number; y: number } | null;
  points: readonly Point[];
  boxes?: Boxes;
  big?: boolean;
}) {
  const { image, unit, truth } = props;
  const w = image.w;
  const h = image.h;
  const path = (props.outline ?? [])
    .map((ring) => {
      let text = "";
      for (let i = 0; i + 1 < ring.length; i += 2) text += `${i ? "L" : "M"}${(ring[i] * w).toFixed(1)} ${(ring[i + 1] * h).toFixed(1)}`;
      return `${text}Z`;
    })
    .join("");
  const r = (props.big ? 10 : 8) * unit;
  const clamp = (value: number) => Math.max(0, Math.min(1, value));
  /** Corners in pixels of the image; what lies outside is cut off at its edge. */
  const inPixels = ([x1, y1, x2, y2]: Corners) => {
    const [left, right] = [clamp(Math.min(x1, x2)) * w, clamp(Math.max(x1, x2)) * w];
    const [top, bottom] = [clamp(Math.min(y1, y2)) * h, clamp(Math.max(y1, y2)) * h];
    return { x: left, y: top, width: right - left, height: bottom - top };
  };
  const boxes = props.boxes?.said ?? [];
  // Boxes have their number in their centre, because that is scored as well.
  const marks = [
    ...boxes.map(({ run, box: [x1, y1, x2, y2] }) => ({ run, x: x1 / 2 + x2 / 2, y: y1 / 2 + y2 / 2 })),
    ...props.points,
  ];
  return (
    <svg class="overlay" viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="xMidYMid meet" aria-hidden="true">
      {path && (
        <>
          <path d={path} fill="none" stroke="#000" stroke-opacity="0.65" stroke-width={3.5 * unit} stroke-linejoin="round" />
          <path d={path} fill="#7CFC6A" fill-opacity="0.12" stroke="#8dff7d" stroke-width={1.6 * unit} stroke-linejoin="round" />
        </>
      )}
      {props.boxes?.truth && (
        <rect class="truth-box" {...inPixels(props.boxes.truth)} fill="none" stroke="#8dff7d" stroke-width={1.6 * unit} stroke-dasharray={`${5 * unit} ${4 * unit}`} />
      )}
      {boxes.map(({ run, box }) => (
        <g key={run} class="answer-box" data-run={run}>
          <rect {...inPixels(box)} fill="none" stroke="#fff" stroke-opacity="0.85" stroke-width={4 * unit} stroke-linejoin="round" />
          <rect {...inPixels(box)} fill="none" stroke={runColor(run)} stroke-width={2.2 * unit} stroke-linejoin="round" />
        </g>
      ))}
      {truth && <Cross x={truth.x * w} y={truth.y * h} r={7 * unit} unit={unit} />}
      {marks.map((point) => {
        const x = clamp(point.x) * w;
        const y = clamp(point.y) * h;
        return (
          <g key={point.run} class="answer" data-run={point.run}>
            <Mark shape={runShape(point.run)} x={x} y={y} r={r} fill={runColor(point.run)} stroke="#fff" width={1.5 * unit} />
            <text x={x} y={y + 0.36 * r * 1.1} text-anchor="middle" font-size={r * 1.15} font-weight="700" fill="#fff">
              {point.run + 1}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

function Cross({ x, y, r, unit }: { x: number; y: number; r: number; unit: number }) {
  const d = `M${x - r} ${y}H${x + r}M${x} ${y - r}V${y + r}`;
  return (
    <g class="truth">
      <path d={d} stroke="#000" stroke-opacity="0.7" stroke-width={4 * unit} fill="none" />
      <path d={d} stroke="#8dff7d" stroke-width={2 * unit} fill="none" />
    </g>
  );
}

export function ImageBox(props: { image: Image | undefined; alt: string; caption?: string; children?: ComponentChildren }) {
  const { image } = props;
  const [broken, setBroken] = useState<string | null>(null);
  const missing = !image?.src || broken === image.src;
  return (
    <div class="image">
      {missing ? (
        <div class="no-image" role="img" aria-label={`${props.alt}${words.value.colon}${words.value.noPicture}`}>
          <span>{words.value.noPicture}</span>
          {image?.reason && <span class="muted" lang={toldIn(image.reason)}>{told(image.reason)}</span>}
        </div>
      ) : (
        <img src={image.src!} alt={props.alt} decoding="async" draggable={false} onError={() => setBroken(image.src)} />
      )}
      {props.children}
      {props.caption && <span class="caption">{props.caption}</span>}
    </div>
  );
}
