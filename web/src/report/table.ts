// The overview's table: what stands in it, which figures are bold, and its text for papers.
import { setTitle } from "./setchoice";
import { decimalsOf, fixed } from "./format";
import type { Cell, Comparison, Difference, Interval, Metric, Report } from "./types";

export interface Entry {
  text: string;
  value: number | null;
  interval: [string, string] | null;
  bold: boolean;
  difference: { text: string; interval: [string, string] | null; significant: boolean; better: boolean | null } | null;
}
export interface Row {
  kind: "run" | "chance";
  set: number;
  run: number | null;
  name: string;
  entries: Entry[];
}
export interface Group {
  set: number;
  title: string;
  rows: Row[];
}
export interface Chosen {
  runs: readonly number[];
  metrics: readonly Metric[];
  baseline: number | null;
  chance: boolean;
  sort: string | null;
  descending: boolean;
}

export const defaultColumns = (report: Report): string[] => {
  const found = report.metrics.filter((metric) => metric.default).map((metric) => metric.key);
  return found.length ? found : report.metrics.map((metric) => metric.key);
};

/** Why two runs of a set are not compared; null if they are, or if one of them was not asked. */
export function refusal(report: Report, set: number, a: number, b: number): string | null {
  if (![a, b].every((run) => report.cells.some((cell) => cell.set === set && cell.run === run))) return null;
  const found = report.comparisons.find((c) => c.set === set && ((c.a === a && c.b === b) || (c.a === b && c.b === a)));
  return found ? (found.refused ?? null) : "";
}

/** B - A of two runs, whichever of them the file compares with the other. */
function differenceOf(report: Report, set: number, from: number, to: number, key: string): Difference | null {
  const match = (c: Comparison, a: number, b: number) => c.set === set && c.a === a && c.b === b;
  const straight = report.comparisons.find((c) => match(c, from, to))?.metrics?.[key];
  if (straight) return straight;
  const other = report.comparisons.find((c) => match(c, to, from))?.metrics?.[key];
  if (!other) return null;
  const isZero = (text: string) => !/[1-9]/.test(text); // a difference that rounds to 0 keeps its plus
  const turn = (text: string) => (isZero(text) ? text : text.startsWith("+") ? `\u2212${text.slice(1)}` : /^[-\u2212]/.test(text) ? `+${text.slice(1)}` : text);
  return {
    difference: other.difference === null ? null : -other.difference,
    ci95: other.ci95 && ([-other.ci95[1], -other.ci95[0]] as Interval),
    significant: other.significant,
    text: other.text && {
      difference: turn(other.text.difference),
      ci95: other.text.ci95 && [turn(other.text.ci95[1]), turn(other.text.ci95[0])],
    },
  };
}

const signed = (value: number, decimals: number): string => {
  const text = fixed(value, decimals);
  return text.startsWith("-") ? `\u2212${text.slice(1)}` : `+${text}`;
};

export function tableOf(report: Report, chosen: Chosen): Group[] {
  const groups: Group[] = [];
  report.sets.forEach((set, number) => {
    const cells = report.cells.filter((cell) => cell.set === number && chosen.runs.includes(cell.run));
    if (!cells.length) return;
    const rows = cells.map((cell) => runRow(report, number, cell, cells, chosen));
    if (chosen.sort !== null) sortRows(rows, chosen);
    if (chosen.chance) rows.push(...chanceRows(number, cells, chosen));
    groups.push({ set: number, title: setTitle(set), rows });
  });
  return groups;
}

function runRow(report: Report, set: number, cell: Cell, cells: readonly Cell[], chosen: Chosen): Row {
  const entries = chosen.metrics.map((metric): Entry => {
    const value = cell.metrics[metric.key] ?? null;
    const text = cell.text[metric.key] ?? "–";
    const decimals = decimalsOf(text);
    const scale = metric.percent ? 100 : 1;
    const ci = cell.ci95[metric.key];
    const interval =
      cell.ci_text?.[metric.key] ??
      (ci && value !== null ? ([fixed(scale * ci[0], decimals), fixed(scale * ci[1], decimals)] as [string, string]) : null);
    let difference: Entry["difference"] = null;
    if (chosen.baseline !== null && chosen.baseline !== cell.run) {
      const found = differenceOf(report, set, chosen.baseline, cell.run, metric.key);
      if (found && found.difference !== null) {
        difference = {
          text: found.text?.difference ?? signed(scale * found.difference, decimals),
          interval:
            found.text?.ci95 ??
            (found.ci95 && [signed(scale * found.ci95[0], decimals), signed(scale * found.ci95[1], decimals)]),
          significant: found.significant === true,
          better: metric.higher_is_better === null ? null : found.difference > 0 === metric.higher_is_better,
        };
      }
    }
    return { text, value, interval, bold: isBold(report, set, cell, cells, metric, chosen), difference };
  });
  return { kind: "run", set, run: cell.run, name: report.runs[cell.run]?.name ?? "", entries };
}

/** People and runs that read masks or right answers are no competitors: never bold, and nobody has to beat them. */
const isRival = (report: Report, run: number): boolean => !report.runs[run]?.people && !report.runs[run]?.privileged;

/** Marks of runs that are no competitors, for tables on paper. */
export const markOf = (report: Report, run: number | null): string =>
  run === null ? "" : (report.runs[run]?.privileged ? "*" : "") + (report.runs[run]?.people ? "†" : "");

/** Bold where the interval says so: see the notes below the table. */
function isBold(report: Report, set: number, cell: Cell, cells: readonly Cell[], metric: Metric, chosen: Chosen): boolean {
  if (metric.higher_is_better === null || !isRival(report, cell.run)) return false;
  const beats = (other: number): boolean => {
    const found = differenceOf(report, set, other, cell.run, metric.key);
    return (
      found !== null &&
      found.significant === true &&
      found.difference !== null &&
      found.difference > 0 === metric.higher_is_better
    );
  };
  if (chosen.baseline !== null) return chosen.baseline !== cell.run && beats(chosen.baseline);
  const others = cells.filter(
    (other) => other.run !== cell.run && isRival(report, other.run) && (other.metrics[metric.key] ?? null) !== null,
  );
  return others.length > 0 && others.every((other) => beats(other.run));
}

function sortRows(rows: Row[], chosen: Chosen): void {
  const column = chosen.metrics.findIndex((metric) => metric.key === chosen.sort);
  const sign = chosen.descending ? -1 : 1;
  rows.sort((a, b) => {
    if (column < 0) return sign * a.name.localeCompare(b.name, "en");
    const x = a.entries[column].value;
    const y = b.entries[column].value;
    if (x === null || y === null) return Number(x === null) - Number(y === null); // unknown ones last
    return sign * (x - y);
  });
}

/**
 * Chance depends on data and scoring alone, so that the first run that was asked about all samples has it; runs
 * that were asked for boxes have rows of their own.
 */
function chanceRows(set: number, cells: readonly Cell[], chosen: Chosen): Row[] {
  const full = [...cells].sort((a, b) => b.total - a.total);
  const names = new Set(full.flatMap((cell) => Object.entries(cell.chance ?? {}).flatMap(([name, row]) => (row ? [name] : []))));
  return [...names].map((name) => ({
    kind: "chance" as const,
    set,
    run: null,
    name,
    entries: chosen.metrics.map((metric): Entry => {
      const known = full.find((cell) => cell.chance?.[name]?.[metric.key] !== undefined);
      const value = known?.chance?.[name]?.[metric.key] ?? null;
      const text =
        known?.chance_text?.[name]?.[metric.key] ??
        (value === null ? "–" : fixed(metric.percent ? 100 * value : value, metric.percent ? 1 : metric.count ? 0 : 3));
      return { text, value, interval: null, bold: false, difference: null };
    }),
  }));
}

export interface Texts {
  run: string;
  set: string;
  mark: (run: number | null) => string;
  metric: (metric: Metric) => string;
  /** The name of a chance baseline's row. */
  chance: (name: string) => string;
  notes: string[];
}

const header = (metric: Metric, texts: Texts): string => texts.metric(metric) + (metric.percent ? " (%)" : "");
const bracket = (interval: [string, string] | null): string => (interval ? ` [${interval[0]}, ${interval[1]}]` : "");
const rowName = (row: Row, texts: Texts): string =>
  row.kind === "chance" ? texts.chance(row.name) : row.name + texts.mark(row.run);
const change = (entry: Entry): string =>
  entry.difference ? ` (${entry.difference.text}${bracket(entry.difference.interval)}${entry.difference.significant ? "*" : ""})` : "";

export function markdown(groups: readonly Group[], metrics: readonly Metric[], texts: Texts): string {
  const clean = (text: string) => text.replace(/[\\`*_{}[\]<>|#]/g, "\\$&").replace(/\s+/g, " ");
  const lines = [
    `| ${[texts.set, texts.run, ...metrics.map((m) => header(m, texts))].map(clean).join(" | ")} |`,
    `|---|---|${metrics.map(() => "---:").join("|")}|`,
  ];
  for (const group of groups) {
    for (const row of group.rows) {
      const entries = row.entries.map((e) => {
        const value = e.bold ? `**${e.text}**` : e.text;
        return value + (bracket(e.interval) + change(e)).replace("*", "\\*");
      });
      lines.push(`| ${[clean(group.title), clean(rowName(row, texts)), ...entries].join(" | ")} |`);
    }
  }
  return `${lines.join("\n")}\n\n${texts.notes.map(clean).join("\n")}\n`;
}

const TEX: Record<string, string> = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", $: "\\$", "&": "\\&", "#": "\\#", "%": "\\%", _: "\\_",
  "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}",
  "|": "\\textbar{}", "–": "--", "†": "\\textdagger{}", "\u2212": "$-$", "·": "\\textperiodcentered{}", "×": "$\\times$", "°": "\\textdegree{}",
}; // prettier-ignore
export const tex = (text: string): string => text.replace(/[\\{}$&#%_^~<>|–†\u2212·×°]/g, (c) => TEX[c]).replace(/\s+/g, " ");

/** A table for `booktabs`, with what it needs said in comments. */
export function latex(groups: readonly Group[], metrics: readonly Metric[], texts: Texts): string {
  const number = (text: string) => (/^[+\u2212-]?[\d.]+$/.test(text) ? `$${text.replace("\u2212", "-")}$` : tex(text));
  const ci = (interval: [string, string] | null) => (interval ? ` {\\scriptsize [${number(interval[0])}, ${number(interval[1])}]}` : "");
  const lines = [
    "% \\usepackage{booktabs}  (names in Chinese need XeLaTeX or LuaLaTeX)",
    ...texts.notes.map((note) => `% ${note.replace(/\s+/g, " ")}`),
    `\\begin{tabular}{l${"r".repeat(metrics.length)}}`,
    "\\toprule",
    `${[texts.run, ...metrics.map((m) => header(m, texts))].map(tex).join(" & ")} \\\\`,
  ];
  for (const group of groups) {
    lines.push("\\midrule", `\\multicolumn{${metrics.length + 1}}{l}{\\textit{${tex(group.title)}}} \\\\`);
    for (const row of group.rows) {
      const entries = row.entries.map((e) => {
        const value = e.bold ? `\\textbf{${tex(e.text)}}` : number(e.text);
        const d = e.difference;
        const moved = d ? ` {\\scriptsize (${number(d.text)}${d.significant ? "$^*$" : ""})}` : "";
        return value + ci(e.interval) + moved;
      });
      lines.push(`${[tex(rowName(row, texts)), ...entries].join(" & ")} \\\\`);
    }
  }
  lines.push("\\bottomrule", "\\end{tabular}");
  return `${lines.join("\n")}\n`;
}

/** One row per run and set, numbers as the files have them; a text that a spreadsheet would run is quoted. */
export function csv(groups: readonly Group[], metrics: readonly Metric[], report: Report): string {
  const cell = (value: string | number | null) => {
    const text = value === null ? "" : typeof value === "number" ? String(value) : /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [["set", "split", "kind", "run", ...metrics.flatMap((m) => [m.key, `${m.key}_low`, `${m.key}_high`])].map(cell).join(",")];
  for (const group of groups) {
    const set = report.sets[group.set];
    for (const row of group.rows) {
      const found = report.cells.find((c) => c.set === group.set && c.run === row.run);
      const values = row.entries.flatMap((entry, column) => {
        const ci = row.kind === "run" ? found?.ci95[metrics[column].key] : null;
        return [entry.value, ci?.[0] ?? null, ci?.[1] ?? null];
      });
      lines.push([set.name, set.split, row.kind, row.name, ...values].map(cell).join(","));
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}
