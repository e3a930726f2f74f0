// What comes with the data in English, in the language of the page: names by their keys, and sentences that
// x3spatial writes (problems, reasons) by their text. tests/reports/test_chinese_names.py holds the table
// against the Python code.
import table from "./names.zh.json";
import type { Metric, Outcome, Report } from "./types";
import { language } from "./words";

type Kind = Exclude<keyof typeof table, "sentences">;
type Names = Partial<Record<string, string>>;

/** The name of a metric, an outcome, ...; `text` where the page's language has none. */
export function named(kind: Kind, key: string, text: string = key): string {
  return language.value === "zh" ? ((table[kind] as Names)[key] ?? text) : text;
}

interface Sentence {
  pattern: RegExp;
  chinese: string;
}
// `{#}` stands for a whole number and `{}` for any text, which may be a sentence of the table itself.
const SENTENCES: Sentence[] = Object.entries(table.sentences).map(([english, chinese]) => {
  const parts = english.split(/(\{#?\})/).map((part) => (part === "{}" ? "(.*?)" : part === "{#}" ? "([\\d,]+)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return { pattern: new RegExp(`^${parts.join("")}$`, "s"), chinese };
});
const literal = ({ chinese }: Sentence): number => chinese.replace(/\{\d?\}/g, "").length;
// The sentence that says most comes first: "image: {}" fits what "image: {}; if folders were moved ..." fits.
SENTENCES.sort((a, b) => literal(b) - literal(a));

/** A sentence of the program in the page's language; null where there is no translation. */
function translated(text: string): string | null {
  for (const { pattern, chinese } of SENTENCES) {
    const found = pattern.exec(text);
    if (!found) continue;
    let next = 0;
    return chinese.replace(/\{(\d?)\}/g, (_, place: string) => {
      const part = found[1 + (place ? Number(place) : next++)];
      return translated(part) ?? part;
    });
  }
  return null;
}

/** A sentence of the program as text, for titles and for the files of charts. */
export const told = (text: string): string => (language.value === "zh" ? (translated(text) ?? text) : text);

/** The language of what `told` gives, for `lang`; undefined: that of the page. */
export const toldIn = (text: string): "en" | undefined =>
  language.value === "zh" && translated(text) === null && /[A-Za-z]{2}/.test(text) ? "en" : undefined;

export const stratumName = (name: string, strata: Report["strata"]): string => named("strata", name, strata[name]?.title);
export const metricName = (metric: Pick<Metric, "key" | "title">): string => named("metrics", metric.key, metric.title);
export const outcomeName = (outcome: Outcome): string => named("outcomes", outcome.name, outcome.words);
