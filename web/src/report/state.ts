// What is looked at. The address holds all of it, so that a link shows exactly this view.
import { computed, signal } from "@preact/signals";
import type { Report } from "./types";

export type ViewName = "overview" | "plots" | "gallery";
export type Order = "file" | "worst" | "best" | "disagree";
export const ORDERS: Order[] = ["file", "worst", "best", "disagree"];

export interface State {
  view: ViewName;
  /** Index of the task set, for plots and gallery. */
  set: number;
  /** Indices of the chosen runs; null: all. */
  runs: number[] | null;
  // Overview
  columns: string[] | null;
  sort: string | null;
  descending: boolean;
  baseline: number | null;
  chance: boolean;
  // Plots
  stratum: string;
  metric: string;
  // Gallery
  scene: string;
  label: string;
  outcomes: string[];
  /** The run whose outcomes are asked for; null: any of the chosen ones. */
  of: number | null;
  disagree: boolean;
  /** Name of a stratum → least and greatest value. */
  ranges: Record<string, [number, number]>;
  /** Name of a stratum of names → the chosen names. */
  kinds: Record<string, string[]>;
  text: string;
  /** Whether the text is looked for in the answers as well. */
  deep: boolean;
  order: Order;
  overlay: boolean;
  /** The first sample on the screen, as a position in the filtered list. */
  at: number;
  /** The id of the sample in the detail view. */
  open: string | null;
  /** Magnification and centre of the query image in the detail view. */
  zoom: [number, number, number] | null;
}

export const INITIAL: State = {
  view: "overview",
  set: 0,
  runs: null,
  columns: null,
  sort: null,
  descending: true,
  baseline: null,
  chance: true,
  stratum: "mask_share",
  metric: "hit_at_mask",
  scene: "",
  label: "",
  outcomes: [],
  of: null,
  disagree: false,
  ranges: {},
  kinds: {},
  text: "",
  deep: false,
  order: "file",
  overlay: true,
  at: 0,
  open: null,
  zoom: null,
};

export const report = signal<Report | null>(null);
export const state = signal<State>(INITIAL);

export const chosenRuns = computed<number[]>(() => {
  const all = report.value?.runs.map((_, run) => run) ?? [];
  const chosen = state.value.runs;
  return chosen === null ? all : all.filter((run) => chosen.includes(run));
});

/** A set's name in links: its position says nothing once a folder of results has grown. */
export function setName(number: number): string {
  const sets = report.value?.sets ?? [];
  const name = (index: number) => `${sets[index]?.name}.${sets[index]?.split}`;
  const same = sets.slice(0, number).filter((_, index) => name(index) === name(number)).length;
  return same ? `${name(number)}~${same + 1}` : name(number);
}

function setNumber(name: string): number {
  const found = (report.value?.sets ?? []).findIndex((_, number) => setName(number) === name);
  return Math.max(0, found);
}

const runNumber = (name: string): number => (report.value?.runs ?? []).findIndex((run) => run.name === name);
const runName = (run: number): string => report.value?.runs[run]?.name ?? "";
const round = (value: number): string => String(Number(value.toPrecision(6)));

/** The address after `#` of a state; what is as at the start is left out. */
export function write(s: State): string {
  const q = new URLSearchParams();
  const put = (key: string, value: string | null, initial: string | null = "") => {
    if (value !== null && value !== initial) q.append(key, value);
  };
  if (s.view !== "overview" && (report.value?.sets.length ?? 0) > 1) put("set", setName(s.set), setName(0));
  if (s.runs !== null) {
    for (const run of s.runs) q.append("run", runName(run));
    if (!s.runs.length) q.append("run", "");
  }
  if (s.view === "overview") {
    if (s.columns) put("columns", s.columns.join(","), null);
    put("sort", s.sort);
    put("ascending", s.descending ? "" : "1");
    if (s.baseline !== null) put("baseline", runName(s.baseline));
    put("chance", s.chance ? "1" : "0", "1");
  } else if (s.view === "plots") {
    put("stratum", s.stratum, INITIAL.stratum);
    put("metric", s.metric, INITIAL.metric);
  } else {
    put("scene", s.scene);
    put("label", s.label);
    for (const outcome of s.outcomes) q.append("outcome", outcome);
    if (s.of !== null) put("of", runName(s.of));
    put("disagree", s.disagree ? "1" : "");
    for (const [name, [least, most]] of Object.entries(s.ranges)) q.append("range", `${name}:${round(least)}:${round(most)}`);
    for (const [name, kinds] of Object.entries(s.kinds)) for (const kind of kinds) q.append("kind", `${name}:${kind}`);
    put("text", s.text);
    put("answers", s.deep ? "1" : "");
    put("order", s.order, "file");
    put("overlay", s.overlay ? "1" : "0", "1");
    put("at", String(s.at), "0");
    put("sample", s.open, null);
    if (s.zoom) put("zoom", s.zoom.map(round).join(","));
  }
  const query = q.toString();
  return `#/${s.view}${query ? `?${query}` : ""}`;
}

/** The state of an address; what it does not say, or says of runs and sets that are not here, is as at the start. */
export function read(hash: string): State {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const q = new URLSearchParams(query);
  const view = (["overview", "plots", "gallery"] as ViewName[]).find((name) => name === path) ?? "overview";
  const ranges: State["ranges"] = {};
  for (const text of q.getAll("range")) {
    const [name, least, most] = text.split(":");
    if (Number.isFinite(Number(least)) && Number.isFinite(Number(most))) ranges[name] = [Number(least), Number(most)];
  }
  const kinds: State["kinds"] = {};
  for (const text of q.getAll("kind")) {
    const colon = text.indexOf(":");
    (kinds[text.slice(0, colon)] ??= []).push(text.slice(colon + 1));
  }
  const named = (key: string): number | null => {
    const run = q.has(key) ? runNumber(q.get(key) as string) : -1;
    return run < 0 ? null : run;
  };
  const zoom = (q.get("zoom") ?? "").split(",").map(Number);
  const order = q.get("order") as Order;
  const at = Number(q.get("at") ?? 0);
  return {
    view,
    set: q.has("set") ? setNumber(q.get("set") as string) : 0,
    runs: q.has("run") ? q.getAll("run").map(runNumber).filter((run) => run >= 0) : null,
    columns: q.has("columns") ? (q.get("columns") as string).split(",").filter(Boolean) : null,
    sort: q.get("sort"),
    descending: q.get("ascending") !== "1",
    baseline: named("baseline"),
    chance: q.get("chance") !== "0",
    stratum: q.get("stratum") ?? INITIAL.stratum,
    metric: q.get("metric") ?? INITIAL.metric,
    scene: q.get("scene") ?? "",
    label: q.get("label") ?? "",
    outcomes: q.getAll("outcome"),
    of: named("of"),
    disagree: q.get("disagree") === "1",
    ranges,
    kinds,
    text: q.get("text") ?? "",
    deep: q.get("answers") === "1",
    order: ORDERS.includes(order) ? order : "file",
    overlay: q.get("overlay") !== "0",
    at: Number.isInteger(at) && at > 0 ? at : 0,
    open: q.get("sample"),
    zoom: zoom.length === 3 && zoom.every(Number.isFinite) ? (zoom as [number, number, number]) : null,
  };
}

let shown = "";
/** Change what is looked at. A step is one that the browser's Back button undoes. */
export function change(part: Partial<State>, step = false): void {
  const next = { ...state.peek(), ...part };
  state.value = next;
  const hash = write(next);
  if (hash === shown) return;
  shown = hash;
  if (step) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}

/** Follow the address: links, Back and Forward. */
export function followAddress(): void {
  const take = () => {
    if (location.hash === shown) return;
    shown = location.hash;
    state.value = read(location.hash);
  };
  window.addEventListener("hashchange", take);
  window.addEventListener("popstate", take);
  shown = location.hash;
  state.value = read(location.hash);
}
