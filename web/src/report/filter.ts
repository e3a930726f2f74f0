// Which samples are shown, and in which order.
import type { Names, SetIndex } from "./data";
import type { State } from "./state";
import { NO_ANSWER, type Outcome } from "./types";

export interface Chosen {
  /** Numbers of samples, in order. */
  list: Uint32Array;
  /** Sample → its position in the list, or -1. */
  place: (sample: number) => number;
}

/** Filters that need nothing but the columns; `ids` only if a text is searched. */
export function choose(
  index: SetIndex,
  s: State,
  runs: readonly number[],
  outcomes: readonly Outcome[],
  ids: readonly string[] | null,
  answers: readonly string[] | null,
): Chosen {
  const { n } = index;
  const keep = new Uint8Array(n).fill(1);
  const asked = runs.filter((run) => index.runs.has(run));

  textFilter(keep, index.scene, s.scene);
  textFilter(keep, index.label, s.label);
  if (s.outcomes.length) outcomeFilter(keep, index, s.of === null ? asked : asked.filter((run) => run === s.of), s.outcomes, outcomes);
  const rights = rightTable(outcomes);
  if (s.disagree) {
    const split = splits(index, asked, rights);
    for (let i = 0; i < n; i++) if (!split[i]) keep[i] = 0;
  }
  for (const [name, [least, most]] of Object.entries(s.ranges)) {
    const values = index.stratum(name);
    // An unknown value is in no range.
    if (values) for (let i = 0; i < n; i++) if (!(values[i] >= least && values[i] <= most)) keep[i] = 0;
  }
  for (const [name, kinds] of Object.entries(s.kinds)) {
    const column = index.named.get(name);
    if (!column || !kinds.length) continue;
    const wanted = new Set(kinds.map((kind) => column.names.indexOf(kind)));
    const { codes } = column;
    for (let i = 0; i < n; i++) if (!wanted.has(codes[i])) keep[i] = 0;
  }
  if (s.text && ids) searchFilter(keep, index, s.text, ids, answers);

  let count = 0;
  for (let i = 0; i < n; i++) count += keep[i];
  const list = new Uint32Array(count);
  for (let i = 0, next = 0; i < n; i++) if (keep[i]) list[next++] = i;
  if (s.order !== "file") sortBy(list, orderKeys(index, asked, rights, s.order));
  let places: Int32Array | null = null;
  return {
    list,
    place: (sample) => {
      if (!places) {
        places = new Int32Array(n).fill(-1);
        for (let i = 0; i < list.length; i++) places[list[i]] = i;
      }
      return places[sample] ?? -1;
    },
  };
}

function textFilter(keep: Uint8Array, column: Names, text: string): void {
  if (!text) return;
  const exact = column.names.indexOf(text);
  const low = text.toLowerCase();
  const wanted = column.names.map((name, code) => (exact >= 0 ? code === exact : name.toLowerCase().includes(low)));
  const { codes } = column;
  for (let i = 0; i < keep.length; i++) if (!wanted[codes[i]]) keep[i] = 0;
}

function outcomeFilter(
  keep: Uint8Array,
  index: SetIndex,
  runs: readonly number[],
  names: readonly string[],
  outcomes: readonly Outcome[],
): void {
  const wanted = new Uint8Array(256);
  outcomes.forEach((outcome, code) => {
    if (names.includes(outcome.name)) wanted[code] = 1;
  });
  const columns = runs.map((run) => index.runs.get(run)!.outcome);
  for (let i = 0; i < keep.length; i++) if (keep[i] && !columns.some((codes) => wanted[codes[i]])) keep[i] = 0;
}

/** Code of an outcome → 1: right, 0: wrong, 2: neither, or no answer. */
function rightTable(outcomes: readonly Outcome[]): Uint8Array {
  const table = new Uint8Array(256).fill(2);
  outcomes.forEach((outcome, code) => {
    if (outcome.right !== null) table[code] = outcome.right ? 1 : 0;
  });
  table[NO_ANSWER] = 2;
  return table;
}

/** Sample → 1 if one of the runs is right and another wrong. */
function splits(index: SetIndex, runs: readonly number[], rights: Uint8Array): Uint8Array {
  const found = new Uint8Array(index.n);
  const columns = runs.map((run) => index.runs.get(run)!.outcome);
  for (let i = 0; i < index.n; i++) {
    let seen = 0;
    for (const codes of columns) seen |= 1 << rights[codes[i]];
    if ((seen & 3) === 3) found[i] = 1;
  }
  return found;
}

function searchFilter(keep: Uint8Array, index: SetIndex, text: string, ids: readonly string[], answers: readonly string[] | null): void {
  const low = text.toLowerCase();
  const has = (column: Names) => column.names.map((name) => name.toLowerCase().includes(low));
  const scenes = has(index.scene);
  const labels = has(index.label);
  const sceneCodes = index.scene.codes;
  const labelCodes = index.label.codes;
  for (let i = 0; i < keep.length; i++) {
    if (!keep[i] || scenes[sceneCodes[i]] || labels[labelCodes[i]] || ids[i].toLowerCase().includes(low)) continue;
    if (!answers?.[i].includes(low)) keep[i] = 0;
  }
}

/**
 * A key per sample; small ones come first. The error of a sample is the largest one of the chosen runs. Runs
 * disagree most where right and wrong ones are equally many and, among those, where their points lie far apart.
 */
function orderKeys(index: SetIndex, runs: readonly number[], rights: Uint8Array, order: State["order"]): Float64Array {
  const keys = new Float64Array(index.n).fill(Infinity);
  if (order !== "disagree") {
    const sign = order === "worst" ? -1 : 1;
    const errors = runs.map((run) => index.runs.get(run)!.error);
    for (let i = 0; i < index.n; i++) {
      let largest = -1;
      for (const error of errors) if (error[i] > largest) largest = error[i];
      if (largest >= 0) keys[i] = sign * largest;
    }
    return keys;
  }
  const columns = runs.map((run) => index.runs.get(run)!);
  for (let i = 0; i < index.n; i++) {
    let right = 0;
    let wrong = 0;
    let left = Infinity, top = Infinity, far = -Infinity, low = -Infinity; // prettier-ignore
    for (const run of columns) {
      const verdict = rights[run.outcome[i]];
      if (verdict === 1) right++;
      else if (verdict === 0) wrong++;
      const x = run.x[i];
      const y = run.y[i];
      if (x === x) {
        left = Math.min(left, x);
        far = Math.max(far, x);
        top = Math.min(top, y);
        low = Math.max(low, y);
      }
    }
    const split = right + wrong ? Math.min(right, wrong) / (right + wrong) : 0;
    const spread = far >= left ? Math.min(0.999, Math.hypot(far - left, low - top) / 10) : 0;
    keys[i] = -(Math.round(split * 1000) + spread);
  }
  return keys;
}

/** Stable: equal keys stay in the order of the file. */
function sortBy(list: Uint32Array, keys: Float64Array): void {
  list.sort((a, b) => (keys[a] === keys[b] ? a - b : keys[a] - keys[b]));
}
