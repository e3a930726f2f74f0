// The format of the data files: docs/report-format.md.

export const NONE = 0xffffffff;
/** This run has no answer for the sample. */
export const NO_ANSWER = 255;

export interface Packed {
  t: "u8" | "u32" | "f32";
  d: string;
}
export interface Named {
  names: string[];
  codes: Packed;
}
export interface Problem {
  path: string;
  reason: string;
  kind?: string;
  /** Of a data root: what became of the file. */
  level?: "left out" | "problem" | "note";
}
export interface Run {
  name: string;
  model: string;
  path: string;
  settings: Record<string, unknown>;
  state: "complete" | "unfinished";
  people: boolean;
  privileged?: boolean;
}
export interface TaskSet {
  name: string;
  split: string;
  title: string;
  path: string;
  samples: number;
  absent_token: string;
  concat: boolean;
  details_per_file: number;
  strata: string[];
  /** False where the task file was not found: no images, prompts and records. */
  described?: boolean;
  /** Of a split of a data root. */
  facts?: { scenes: number; objects: number; views_visible: number; views_not_visible: number };
}
export interface Metric {
  key: string;
  title: string;
  percent: boolean;
  count?: boolean;
  higher_is_better: boolean | null;
  default: boolean;
}
export type Interval = [number, number];
export type Values = Record<string, number | null | undefined>;
export interface StratumRow {
  from: number | null;
  to: number | null;
  name: string | null;
  samples: number;
  metrics: Values;
  ci95: Record<string, Interval | null | undefined>;
  chance_uniform: number | null;
}
export interface ConsistencyRow {
  value: number | null;
  units: number;
  ci95: Interval | null;
  independent: number | null;
}
export interface Cell {
  run: number;
  set: number;
  state?: "complete" | "unfinished";
  total: number;
  missing: number;
  errors: number;
  metrics: Values;
  text: Record<string, string>;
  ci95: Record<string, Interval | null | undefined>;
  ci_text?: Record<string, [string, string] | null | undefined>;
  ci_unit: string | null;
  conditions?: string;
  unparsed_reasons?: Record<string, number>;
  chance: Record<string, Values | null>;
  chance_text?: Record<string, Record<string, string>>;
  by_stratum: Record<string, StratumRow[]>;
  by_mask_area?: (Omit<StratumRow, "from" | "to" | "name"> & { area_from: number; area_to: number | null })[];
  consistency: Record<string, ConsistencyRow>;
  curve?: { r: number[]; success: (number | null)[]; low?: (number | null)[] | null; high?: (number | null)[] | null } | null;
  errors_hist?: { edges: number[]; counts: number[] } | null;
  map?: { size: number; counts: number[]; outside?: number } | null;
}
export interface Difference {
  difference: number | null;
  ci95: Interval | null;
  significant: boolean | null;
  text?: { difference: string; ci95: [string, string] | null };
}
export interface Comparison {
  set: number;
  a: number;
  b: number;
  /** Why the two are not compared. */
  refused?: string | null;
  metrics?: Record<string, Difference> | null;
}
export interface Outcome {
  name: string;
  words: string;
  right: boolean | null;
}
export interface Stratum {
  title: string;
  unit?: string;
  bins?: { from: number; to: number | null; name: string | null }[];
  names?: string[];
}
export interface Report {
  format: number;
  kind: "results" | "root";
  title: string;
  generator: string;
  images: "link" | "copy" | "thumbs";
  live?: boolean;
  problems: Problem[];
  findings?: { kind: string; count: number; words?: string }[];
  runs: Run[];
  sets: TaskSet[];
  metrics: Metric[];
  cells: Cell[];
  comparisons: Comparison[];
  strata: Record<string, Stratum>;
  outcomes: Outcome[];
}
export interface Picture {
  src: string | null;
  w: number;
  h: number;
  reason?: string;
}
export interface SetFile {
  n: number;
  scene: Named;
  label: Named;
  truth: Packed;
  tx: Packed;
  ty: Packed;
  area: Packed;
  strata: Record<string, Packed | Named>;
  /** Prompts that many samples share; `Detail.prompt` is an index into them. */
  prompts?: string[];
  image_a: Packed;
  image_b: Packed;
  images: Picture[];
  runs: Record<string, { outcome: Packed; error: Packed; x: Packed; y: Packed }>;
}
export type Corners = [number, number, number, number];
export interface Said {
  text: string | null;
  point: [number, number] | null;
  /** Of runs that were asked for boxes: x1, y1, x2, y2 in the frame of the answers; corners may be swapped. */
  box?: Corners | null;
  true_box?: Corners | null;
  iou?: number | null;
  centre_in_mask?: boolean | null;
  reason: string | null;
  flags?: string[];
}
export interface Detail {
  id: string;
  prompt: string | number | null;
  record: Record<string, unknown>;
  outline: number[][];
  runs: Record<string, Said>;
}
