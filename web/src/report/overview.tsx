// Runs × sets: the metrics with intervals, chance, paired differences, and the table's text for papers.
import { useMemo, useState } from "preact/hooks";
import { metricName, named, told, toldIn } from "./names";
import { Dialog, Menu, RunName, say } from "./parts";
import { copy, download } from "./save";
import { change, chosenRuns, report, state } from "./state";
import { csv, defaultColumns, latex, markdown, markOf, refusal, tableOf, type Entry, type Group, type Row, type Texts } from "./table";
import type { Metric, Report } from "./types";
import { language, words } from "./words";

export function Overview() {
  const found = report.value as Report;
  const s = state.value;
  const w = words.value;
  const runs = chosenRuns.value;
  const [exporting, setExporting] = useState(false);
  const columns = s.columns ?? defaultColumns(found);
  const metrics = found.metrics.filter((metric) => columns.includes(metric.key));
  const groups = useMemo(
    () => tableOf(found, { runs, metrics, baseline: s.baseline, chance: s.chance, sort: s.sort, descending: s.descending }),
    [found, runs, columns.join(), s.baseline, s.chance, s.sort, s.descending],
  );
  const kinds = [...new Set(found.cells.flatMap((cell) => cell.ci_unit ?? []))];
  const units = kinds.length ? w.units(kinds.map((unit) => named("units", unit))) : "";
  const baseline = s.baseline === null ? null : (found.runs[s.baseline]?.name ?? null);
  const isAnyBold = groups.some((group) => group.rows.some((row) => row.entries.some((entry) => entry.bold)));
  const notes = [
    ...(units ? [w.ciNote(units)] : []),
    ...(found.cells.some((cell) => cell.ci_unit === null) ? [w.noCiNote] : []),
    ...(isAnyBold ? [baseline === null ? w.boldBest : w.boldBaseline(baseline)] : []),
  ];
  const marks = new Set(runs.map((run) => markOf(found, run)).join(""));
  const paperNotes = [...(marks.has("*") ? [w.privilegedNote] : []), ...(marks.has("†") ? [w.peopleNote] : [])];
  const texts: Texts = {
    run: w.run, set: w.set, metric: metricName, chance: (name) => `${w.chanceOf}${w.colon}${named("chance", name)}`, mark: (run) => markOf(found, run),
    notes: baseline === null ? notes : [...notes, w.differenceNote(baseline)],
  }; // prettier-ignore
  // Numbers begin with the largest, names with A; the third click brings the order of the file back.
  const sortBy = (key: string) => {
    const first = key !== "run";
    if (s.sort !== key) change({ sort: key, descending: first });
    else if (s.descending === first) change({ descending: !first });
    else change({ sort: null, descending: true });
  };
  return (
    <div>
      <div class="bar">
        <Menu name={w.columns} label={`${w.columns} ${metrics.length}/${found.metrics.length}`}>
          {found.metrics.map((metric) => (
            <label class="check" key={metric.key}>
              <input
                type="checkbox"
                checked={columns.includes(metric.key)}
                onChange={(event) => {
                  const on = event.currentTarget.checked;
                  change({
                    columns: found.metrics
                      .map((m) => m.key)
                      .filter((key) => (key === metric.key ? on : columns.includes(key))),
                  });
                }}
              />
              {metricName(metric)}
            </label>
          ))}
          <button type="button" class="button" onClick={() => change({ columns: null })}>
            {w.resetColumns}
          </button>
        </Menu>
        <label class="check inline">
          <input type="checkbox" checked={s.chance} onChange={(event) => change({ chance: event.currentTarget.checked })} />
          {w.chance}
        </label>
        {s.baseline !== null && (
          <button type="button" class="button" onClick={() => change({ baseline: null })}>
            {w.unpin}
            {w.colon}
            {baseline}
          </button>
        )}
        <button type="button" class="button primary end" onClick={() => setExporting(true)}>
          {w.export}
        </button>
      </div>
      {!runs.length ? (
        <p class="empty">{w.noRuns}</p>
      ) : (
        <div class="scroll card-surface" role="region" aria-label={w.overview} tabIndex={0}>
          <table class="results">
            <thead>
              <tr>
                <SortHead name={w.run} column="run" onSort={sortBy} class="name" />
                {metrics.map((metric) => (
                  <SortHead
                    key={metric.key}
                    name={metricName(metric)}
                    column={metric.key}
                    onSort={sortBy}
                    unit={metric.percent ? "%" : ""}
                    better={metric.higher_is_better}
                  />
                ))}
              </tr>
            </thead>
            {groups.map((group) => (
              <GroupRows key={group.set} group={group} metrics={metrics} report={found} />
            ))}
          </table>
        </div>
      )}
      <div class="notes">
        {texts.notes.map((note) => (
          <p key={note}>{note}</p>
        ))}
      </div>
      <RunDetails />
      {exporting && <Export groups={groups} metrics={metrics} texts={{ ...texts, notes: [...texts.notes, ...paperNotes] }} onClose={() => setExporting(false)} />}
    </div>
  );
}

function SortHead(props: {
  name: string;
  column: string;
  onSort: (column: string) => void;
  unit?: string;
  better?: boolean | null;
  class?: string;
}) {
  const s = state.value;
  const active = s.sort === props.column;
  return (
    <th scope="col" class={props.class} aria-sort={active ? (s.descending ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => props.onSort(props.column)} title={words.value.sortBy(props.name)}>
        {props.name}
        <span class="unit" aria-hidden="true">
          {props.unit ? ` ${props.unit}` : ""}
          {props.better === true ? " ↑" : props.better === false ? " ↓" : ""}
        </span>
        {active && (
          <span class="sign" aria-hidden="true">
            {s.descending ? " ▼" : " ▲"}
          </span>
        )}
      </button>
    </th>
  );
}

function GroupRows({ group, metrics, report: found }: { group: Group; metrics: readonly Metric[]; report: Report }) {
  const w = words.value;
  const set = found.sets[group.set];
  const conditions = [...new Set(found.cells.filter((c) => c.set === group.set).map((c) => c.conditions ?? ""))].filter(Boolean);
  return (
    <tbody>
      <tr class="group">
        <th scope="rowgroup" colSpan={metrics.length + 1}>
          <div>
            <span class="group-name">{group.title}</span>
            <span class="muted">
              {[w.samples(set.samples), ...conditions.flatMap((text) => text.split(", ").map(told))].join(w.and)}
            </span>
            {set.described === false && <span class="tag warn">{w.undescribed}</span>}
            <button type="button" class="link" onClick={() => change({ view: "gallery", set: group.set, at: 0, open: null }, true)}>
              {w.gallery}
            </button>
            <button type="button" class="link" onClick={() => change({ view: "plots", set: group.set }, true)}>
              {w.plots}
            </button>
          </div>
        </th>
      </tr>
      {group.rows.map((row) => (
        <ResultRow key={`${row.kind}-${row.run ?? row.name}`} row={row} />
      ))}
    </tbody>
  );
}

function ResultRow({ row }: { row: Row }) {
  const w = words.value;
  const pinned = row.run !== null && state.value.baseline === row.run;
  const cell = (report.value as Report).cells.find((c) => c.set === row.set && c.run === row.run);
  const { baseline } = state.value;
  const refused =
    baseline === null || row.run === null || row.run === baseline ? null : refusal(report.value as Report, row.set, baseline, row.run);
  return (
    <tr class={`${row.kind} ${pinned ? "pinned" : ""}`}>
      <th scope="row" class="name">
        {row.run === null ? (
          <span class="muted">
            {w.chanceOf}
            {w.colon}
            {named("chance", row.name)}
          </span>
        ) : (
          <span class="name-line">
            <RunName run={row.run} unfinished={cell?.state === undefined ? undefined : cell.state === "unfinished"} />
            {cell && cell.missing > 0 && (
              <span class="tag warn">
                {w.missing(cell.missing)}
              </span>
            )}
            {refused !== null && (
              <span class="tag warn" title={told(refused)} lang={toldIn(refused)}>
                {w.noComparison}
              </span>
            )}
            <button
              type="button"
              class="pin"
              aria-pressed={pinned}
              title={pinned ? w.unpin : w.pin}
              aria-label={`${w.pin}${w.colon}${row.name}`}
              onClick={() => change({ baseline: pinned ? null : row.run })}
            >
              <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
                <path d="M5 1.5h6l-.8 5 2.3 2.5v1H8.6L8 15l-.6-5H3.5V9l2.3-2.5z" fill={pinned ? "currentColor" : "none"} stroke="currentColor" />
              </svg>
            </button>
          </span>
        )}
      </th>
      {row.entries.map((entry, at) => (
        <td key={at}>
          <Figure entry={entry} />
        </td>
      ))}
    </tr>
  );
}

function Figure({ entry }: { entry: Entry }) {
  const d = entry.difference;
  return (
    <>
      <span class={`figure ${entry.bold ? "bold" : ""}`}>{entry.bold ? <strong>{entry.text}</strong> : entry.text}</span>
      {entry.interval && (
        <span class="interval">
          [{entry.interval[0]}, {entry.interval[1]}]
        </span>
      )}
      {d && (
        <span class={`difference ${d.significant && d.better !== null ? (d.better ? "good" : "bad") : ""}`}>
          {d.text}
          {d.significant && (
            <span title={words.value.significant} aria-label={words.value.significant} role="img">
              *
            </span>
          )}
          {d.interval && ` [${d.interval[0]}, ${d.interval[1]}]`}
        </span>
      )}
    </>
  );
}

function RunDetails() {
  const w = words.value;
  const found = report.value as Report;
  return (
    <details class="run-details">
      <summary>{w.details}</summary>
      <div class="scroll" role="region" aria-label={w.details} tabIndex={0}>
        <table class="plain">
          <thead>
            <tr>
              {[w.run, w.model, w.state, w.path, w.settings].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.runs.map((run, number) => (
              <tr key={number}>
                <th scope="row">
                  <RunName run={number} />
                </th>
                <td>{run.model}</td>
                <td>{run.state === "complete" ? w.complete : w.unfinished}</td>
                <td class="path">{run.path}</td>
                <td class="path">
                  {Object.entries(run.settings)
                    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

const FORMATS = { markdown: ["Markdown", "table.md", "text/markdown"], latex: ["LaTeX", "table.tex", "application/x-tex"], csv: ["CSV", "table.csv", "text/csv"] } as const; // prettier-ignore

function Export(props: { groups: Group[]; metrics: readonly Metric[]; texts: Texts; onClose: () => void }) {
  const w = words.value;
  const [format, setFormat] = useState<keyof typeof FORMATS>("markdown");
  const text = useMemo(() => {
    if (format === "csv") return csv(props.groups, props.metrics, report.value as Report);
    return (format === "latex" ? latex : markdown)(props.groups, props.metrics, props.texts);
  }, [format, language.value]);
  const [, file, type] = FORMATS[format];
  return (
    <Dialog title={w.exportTitle} class="export" onClose={props.onClose}>
      <div class="segments" role="group" aria-label={w.exportTitle}>
        {(Object.keys(FORMATS) as (keyof typeof FORMATS)[]).map((name) => (
          <button type="button" key={name} aria-pressed={format === name} onClick={() => setFormat(name)}>
            {FORMATS[name][0]}
          </button>
        ))}
      </div>
      <textarea readOnly rows={14} spellcheck={false} aria-label={`${w.exportTitle}${w.colon}${FORMATS[format][0]}`} value={text} />
      <div class="bar">
        <button type="button" class="button primary" onClick={async () => (await copy(text)) && say(w.copied)}>
          {w.copy}
        </button>
        <button type="button" class="button" onClick={() => download(file, text, type)}>
          {w.download}
        </button>
      </div>
    </Dialog>
  );
}
