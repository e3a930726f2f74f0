// Loading: data files are classic scripts that call x3data(NAME, VALUE), because file:// forbids fetch.
import { signal } from "@preact/signals";
import type { Detail, Named, Packed, Picture, Report, SetFile } from "./types";

declare global {
  interface Window {
    x3data?: (name: string, value: unknown) => void;
  }
  interface Uint8ArrayConstructor {
    fromBase64?: (text: string) => Uint8Array;
  }
}

/** Several may wait for the same file. */
const waiting = new Map<string, ((value: unknown) => void)[]>();
window.x3data = (name, value) => {
  const all = waiting.get(name) ?? [];
  waiting.delete(name);
  for (const give of all) give(value);
};

/** Grows with every change of a live run, so that the browser does not answer from its cache. */
export const version = signal(0);

function load<T>(name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const give = (value: unknown) => resolve(value as T);
    const others = () => (waiting.get(name) ?? []).filter((other) => other !== give);
    const fail = () => {
      waiting.set(name, others());
      reject(new Error(`data/${name}.js`));
    };
    waiting.set(name, [...(waiting.get(name) ?? []), give]);
    script.onerror = () => {
      script.remove();
      fail();
    };
    script.onload = () => {
      script.remove();
      // The script ran without giving its value: it is damaged.
      if (waiting.get(name)?.includes(give)) fail();
    };
    script.src = `data/${name}.js${version.value ? `?v=${version.value}` : ""}`;
    document.head.append(script);
  });
}

export const loadReport = (): Promise<Report> => load<Report>("report");

function bytes(text: string): Uint8Array {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found;
}

export type Column = Uint8Array | Uint32Array | Float32Array;

function unpack(packed: Packed): Column {
  const raw = bytes(packed.d);
  // All platforms with a browser are little-endian, like the data.
  if (packed.t === "u8") return raw;
  return packed.t === "u32" ? new Uint32Array(raw.buffer) : new Float32Array(raw.buffer);
}

/** A column that is decoded when it is first used. */
class Lazy<T extends Column> {
  private value: T | undefined;
  constructor(private packed: Packed | undefined) {}
  get(): T {
    if (this.value === undefined) {
      this.value = unpack(this.packed as Packed) as T;
      this.packed = undefined; // the text is no longer needed
    }
    return this.value;
  }
}

export interface Names {
  names: string[];
  codes: Uint32Array;
}

class LazyNames {
  private lazy: Lazy<Uint32Array>;
  readonly names: string[];
  constructor(named: Named) {
    this.names = named.names;
    this.lazy = new Lazy(named.codes);
  }
  get codes(): Uint32Array {
    return this.lazy.get();
  }
}

export class RunColumns {
  private parts: Record<"outcome" | "error" | "x" | "y", Lazy<Column>>;
  constructor(run: SetFile["runs"][string]) {
    this.parts = {
      outcome: new Lazy(run.outcome),
      error: new Lazy(run.error),
      x: new Lazy(run.x),
      y: new Lazy(run.y),
    };
  }
  get outcome() {
    return this.parts.outcome.get() as Uint8Array;
  }
  get error() {
    return this.parts.error.get() as Float32Array;
  }
  get x() {
    return this.parts.x.get() as Float32Array;
  }
  get y() {
    return this.parts.y.get() as Float32Array;
  }
}

/** One task set's columns. */
export class SetIndex {
  readonly n: number;
  readonly images: Picture[];
  readonly prompts: string[];
  readonly scene: Names;
  readonly label: Names;
  readonly runs = new Map<number, RunColumns>();
  readonly numbers = new Map<string, Lazy<Float32Array>>();
  readonly named = new Map<string, Names>();
  private parts: Record<"truth" | "tx" | "ty" | "a" | "b", Lazy<Column>>;

  constructor(
    readonly number: number,
    file: SetFile,
  ) {
    this.n = file.n;
    this.prompts = file.prompts ?? [];
    // A missing image may have no known size; the marks on it need one.
    this.images = file.images.map((image) => (image.w > 0 && image.h > 0 ? image : { ...image, w: 400, h: 300 }));
    this.scene = new LazyNames(file.scene);
    this.label = new LazyNames(file.label);
    for (const [run, columns] of Object.entries(file.runs)) this.runs.set(Number(run), new RunColumns(columns));
    for (const [name, column] of Object.entries(file.strata)) {
      if ("names" in column) this.named.set(name, new LazyNames(column));
      else this.numbers.set(name, new Lazy(column));
    }
    this.parts = {
      truth: new Lazy(file.truth),
      tx: new Lazy(file.tx),
      ty: new Lazy(file.ty),
      a: new Lazy(file.image_a),
      b: new Lazy(file.image_b),
    };
  }
  /** 0: a point, 1: absent, 2: unknown. */
  get truth() {
    return this.parts.truth.get() as Uint8Array;
  }
  get tx() {
    return this.parts.tx.get() as Float32Array;
  }
  get ty() {
    return this.parts.ty.get() as Float32Array;
  }
  pictureA(sample: number): Picture | undefined {
    return this.images[(this.parts.a.get() as Uint32Array)[sample]];
  }
  pictureB(sample: number): Picture | undefined {
    return this.images[(this.parts.b.get() as Uint32Array)[sample]];
  }
  stratum(name: string): Float32Array | undefined {
    return this.numbers.get(name)?.get();
  }
  nameOf(column: Names, sample: number): string {
    return column.names[column.codes[sample]] ?? "";
  }
}

const sets = new Map<number, Promise<SetIndex>>();
export function loadSet(number: number): Promise<SetIndex> {
  let found = sets.get(number);
  if (!found) {
    found = load<SetFile>(`set-${number}`).then((file) => new SetIndex(number, file));
    found.catch(() => sets.delete(number));
    sets.set(number, found);
  }
  return found;
}

const ids = new Map<number, Promise<string[]>>();
export function loadIds(number: number): Promise<string[]> {
  let found = ids.get(number);
  if (!found) {
    found = load<string[]>(`ids-${number}`);
    found.catch(() => ids.delete(number));
    ids.set(number, found);
  }
  return found;
}

/** The files of details that are kept, the latest used last; the others are loaded again when needed. */
const KEPT = 48;
const details = new Map<string, Promise<Detail[]> | Detail[]>();

export function detailNow(set: number, perFile: number, sample: number): Detail | undefined {
  const found = details.get(detailName(set, perFile, sample));
  return Array.isArray(found) ? found[sample % perFile] : undefined;
}

export async function loadDetail(set: number, perFile: number, sample: number): Promise<Detail | undefined> {
  const name = detailName(set, perFile, sample);
  let found = details.get(name);
  if (!found) {
    found = load<Detail[]>(name);
    found.then(
      (value) => details.has(name) && details.set(name, value),
      () => details.delete(name),
    );
  }
  details.delete(name);
  details.set(name, found);
  if (details.size > KEPT) details.delete(details.keys().next().value as string);
  return (await found)[sample % perFile];
}

function detailName(set: number, perFile: number, sample: number): string {
  return `set-${set}/detail-${String(Math.floor(sample / perFile)).padStart(4, "0")}`;
}

/** All answers of a set in small letters, one text per sample; loaded when somebody searches in them. */
const answers = new Map<number, Promise<string[]>>();
const AT_ONCE = 3;
export function loadAnswers(set: number, perFile: number, n: number, progress: (share: number) => void): Promise<string[]> {
  let found = answers.get(set);
  if (!found) {
    found = readAnswers(set, perFile, n, progress);
    found.catch(() => answers.delete(set));
    answers.set(set, found);
  }
  return found;
}

async function readAnswers(set: number, perFile: number, n: number, progress: (share: number) => void): Promise<string[]> {
  const texts = new Array<string>(n).fill("");
  const files = Math.ceil(n / perFile);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < files) {
      const file = next++;
      // Not kept as details: only their answers are.
      const rows = await load<Detail[]>(detailName(set, perFile, file * perFile));
      rows.forEach((row, at) => {
        texts[file * perFile + at] = Object.values(row.runs).map((said) => said.text ?? "").join("\n").toLowerCase();
      });
      progress(++done / files);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return texts;
}

/** Forget everything that was loaded, because the data changed. */
export function forget(): void {
  sets.clear();
  ids.clear();
  answers.clear();
  details.clear();
}

/** Ask the server of `x3 view` for changes; other pages never ask anybody. */
export function followChanges(changed: () => Promise<void>, every = 2000): void {
  const ask = async () => {
    try {
      const reply = await fetch("live.json", { cache: "no-store" });
      if (reply.ok) {
        const now = Number(((await reply.json()) as { version: number }).version);
        if (now !== version.peek()) {
          version.value = now;
          await changed();
        }
      }
    } catch {
      // The server has ended; what was loaded stays.
    }
    setTimeout(ask, every);
  };
  setTimeout(ask, every);
}
