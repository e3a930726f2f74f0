// What the gallery shows: filters that combine, order, and how many samples are left.
import { useEffect, useRef, useState } from "preact/hooks";
import type { SetIndex } from "./data";
import { short } from "./format";
import { whole } from "../language";
import { named, outcomeName, stratumName } from "./names";
import { Menu, RunBadge, RunName } from "./parts";
import { SetChoice } from "./setchoice";
import { change, INITIAL, ORDERS, report, state, type Order, type State } from "./state";
import { NO_ANSWER, type Report } from "./types";
import { words } from "./words";

const filtered = (part: Partial<State>) => change({ ...part, at: 0 });

/** Text that takes effect a moment after the last key. */
function useLater(value: string, apply: (text: string) => void): [string, (text: string) => void] {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  return [
    text,
    (next) => {
      setText(next);
      clearTimeout(timer.current);
      timer.current = window.setTimeout(() => apply(next), 200);
    },
  ];
}

export function Filters(props: {
  index: SetIndex | null;
  shown: number | null;
  runs: readonly number[];
  /** How much of the answers has been read for a search in them; null: all that is needed. */
  reading: number | null;
}) {
  const { index, shown, runs } = props;
  const w = words.value;
  const s = state.value;
  const found = report.value as Report;
  const set = found.sets[s.set];
  const [text, setText] = useLater(s.text, (value) => filtered({ text: value }));
  const [wide, setWide] = useState(false);
  const active =
    Number(s.scene !== "") + Number(s.label !== "") + Number(s.outcomes.length > 0) + Number(s.disagree) +
    Object.keys(s.ranges).length + Object.keys(s.kinds).length + Number(s.text !== ""); // prettier-ignore
  const clear = () => {
    const { scene, label, outcomes, of, disagree, ranges, kinds, text: none } = INITIAL;
    setText("");
    filtered({ scene, label, outcomes, of, disagree, ranges, kinds, text: none });
  };
  return (
    <div class={`filters ${wide ? "wide" : ""}`}>
      <div class="filter-line">
        <SetChoice />
        <label class="field grow">
          <span class="away">{w.search}</span>
          <input id="search" type="search" placeholder={`${w.search}  /`} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {runs.length > 0 && (
          <label class="check inline">
            <input id="deep" type="checkbox" checked={s.deep} onChange={(event) => filtered({ deep: event.currentTarget.checked })} />
            {w.deep}
          </label>
        )}
        <label class="field">
          <span>{w.order}</span>
          <select id="order" value={s.order} onChange={(event) => filtered({ order: event.currentTarget.value as Order })}>
            {ORDERS.filter((order) => order === "file" || runs.length > 0).map((order) => (
              <option key={order} value={order}>
                {w.orders[order]}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="button only-narrow" aria-expanded={wide} onClick={() => setWide(!wide)}>
          {w.filters}
          {active ? ` (${active})` : ""}
        </button>
      </div>
      <div class="filter-line more">
        <NameFilter id="scene" title={w.scene} names={index?.scene.names ?? []} value={s.scene} apply={(scene) => filtered({ scene })} />
        <NameFilter id="label" title={w.label} names={index?.label.names ?? []} value={s.label} apply={(label) => filtered({ label })} />
        {index && runs.length > 0 && <OutcomeFilter index={index} runs={runs} />}
        {index && (set.strata.length > 0 || index.numbers.size > 0) && <StrataFilter index={index} />}
        {runs.length > 1 && (
          <label class="check inline">
            <input type="checkbox" checked={s.disagree} onChange={(event) => filtered({ disagree: event.currentTarget.checked })} />
            {w.runsDisagree}
          </label>
        )}
        <label class="check inline">
          <input type="checkbox" checked={s.overlay} onChange={(event) => change({ overlay: event.currentTarget.checked })} />
          {w.overlay}
        </label>
        {active > 0 && (
          <button type="button" class="button" onClick={clear}>
            {w.clear} ({active})
          </button>
        )}
      </div>
      <div class="filter-line legend">
        <span class="count" role="status">
          {shown === null ? w.loading : w.shownOf(shown, set.samples)}
          {props.reading !== null && ` · ${w.reading(Math.floor(100 * props.reading))}`}
        </span>
        {s.overlay && (
          <span class="legend-truth">
            <svg viewBox="0 0 26 16" width="26" height="16" aria-hidden="true">
              <rect x="1.5" y="1.5" width="23" height="13" rx="4" class="legend-outline" />
              <path d="M13 4v8M9 8h8" class="legend-cross" />
            </svg>
            {found.kind === "root" ? w.legendMask : w.legendTruth}
          </span>
        )}
        {s.overlay && found.cells.some((cell) => cell.set === index?.number && runs.includes(cell.run) && "mean_iou" in cell.metrics) && (
          <span class="legend-truth">
            <svg viewBox="0 0 26 16" width="26" height="16" aria-hidden="true">
              <rect x="1.5" y="1.5" width="23" height="13" class="legend-outline" stroke-dasharray="4 3" />
            </svg>
            {w.legendBox}
          </span>
        )}
        {runs.map((run) => (
          <RunName key={run} run={run} />
        ))}
      </div>
    </div>
  );
}

function NameFilter(props: { id: string; title: string; names: string[]; value: string; apply: (value: string) => void }) {
  const [text, setText] = useLater(props.value, props.apply);
  return (
    <label class="field">
      <span>{props.title}</span>
      <input
        id={`filter-${props.id}`}
        type="search"
        list={`names-${props.id}`}
        value={text}
        placeholder={words.value.any}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <datalist id={`names-${props.id}`}>
        {props.names.slice(0, 1000).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}

function OutcomeFilter({ index, runs }: { index: SetIndex; runs: readonly number[] }) {
  const w = words.value;
  const s = state.value;
  const found = report.value as Report;
  const asked = s.of === null ? runs : runs.filter((run) => run === s.of);
  // How many samples have an outcome in one of these runs.
  const counts = new Array<number>(256).fill(0);
  const columns = asked.flatMap((run) => index.runs.get(run)?.outcome ?? []);
  const last = new Int32Array(256).fill(-1);
  for (let i = 0; i < index.n; i++) {
    for (const codes of columns) {
      const code = codes[i];
      if (last[code] !== i) {
        last[code] = i;
        counts[code]++;
      }
    }
  }
  const names = found.outcomes.map((outcome, code) => ({ ...outcome, count: code === NO_ANSWER ? 0 : counts[code] })).filter((o) => o.count > 0 || s.outcomes.includes(o.name));
  return (
    <Menu name={w.outcome} label={s.outcomes.length ? `${w.outcome} (${s.outcomes.length})` : w.outcome} class="outcome-menu">
      <label class="field">
        <span>{w.ofRun}</span>
        <select
          id="of"
          value={s.of === null ? "" : String(s.of)}
          onChange={(event) => filtered({ of: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })}
        >
          <option value="">{w.anyRun}</option>
          {runs.map((run) => (
            <option key={run} value={String(run)}>
              {run + 1} {found.runs[run].name}
            </option>
          ))}
        </select>
      </label>
      {names.map((outcome) => (
        <label class="check" key={outcome.name}>
          <input
            type="checkbox"
            name={outcome.name}
            checked={s.outcomes.includes(outcome.name)}
            onChange={(event) =>
              filtered({
                outcomes: event.currentTarget.checked ? [...s.outcomes, outcome.name] : s.outcomes.filter((name) => name !== outcome.name),
              })
            }
          />
          {outcomeName(outcome)}
          <span class="muted end">{whole(outcome.count)}</span>
        </label>
      ))}
      {s.of !== null && <RunBadge run={s.of} />}
    </Menu>
  );
}

function StrataFilter({ index }: { index: SetIndex }) {
  const w = words.value;
  const s = state.value;
  const found = report.value as Report;
  const active = Object.keys(s.ranges).length + Object.keys(s.kinds).length;
  return (
    <Menu name={w.facts} label={active ? `${w.facts} (${active})` : w.facts} class="strata-menu">
      {[...index.numbers.keys()].map((name) => (
        <Range key={name} index={index} name={name} title={stratumName(name, found.strata)} unit={found.strata[name]?.unit ?? ""} />
      ))}
      {[...index.named].map(([name, column]) => (
        <fieldset key={name}>
          <legend>{stratumName(name, found.strata)}</legend>
          {column.names.map((kind) => (
            <label class="check" key={kind}>
              <input
                type="checkbox"
                name={`${name}:${kind}`}
                checked={s.kinds[name]?.includes(kind) ?? false}
                onChange={(event) => {
                  const now = s.kinds[name] ?? [];
                  const next = event.currentTarget.checked ? [...now, kind] : now.filter((one) => one !== kind);
                  const kinds = { ...s.kinds, [name]: next };
                  if (!next.length) delete kinds[name];
                  filtered({ kinds });
                }}
              />
              {named("values", kind)}
            </label>
          ))}
        </fieldset>
      ))}
    </Menu>
  );
}

const STEPS = 200;
/** Least and greatest known value of every column, found once. */
const extents = new WeakMap<Float32Array, [number, number]>();
function extentOf(values: Float32Array): [number, number] {
  let found = extents.get(values);
  if (!found) {
    let least = Infinity;
    let most = -Infinity;
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    found = [least, most];
    extents.set(values, found);
  }
  return found;
}

function Range({ index, name, title, unit }: { index: SetIndex; name: string; title: string; unit: string }) {
  const w = words.value;
  const s = state.value;
  const values = index.stratum(name) as Float32Array;
  const [least, most] = extentOf(values);
  if (!(most >= least)) return null;
  // Where bins are spread over decades the slider is too: small objects get as much of it as large ones.
  const bounds = (report.value?.strata[name]?.bins ?? []).map((bin) => bin.to).filter((to) => to !== null);
  const isLog = least > 0 && most > 2 * least && bounds.length > 1 && bounds[bounds.length - 1] > 20 * bounds[0];
  const valueAt = (step: number) => {
    if (step <= 0) return least;
    if (step >= STEPS) return most;
    return isLog ? least * (most / least) ** (step / STEPS) : least + ((most - least) * step) / STEPS;
  };
  const stepOf = (value: number) =>
    Math.round(STEPS * (isLog ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least || 1)));
  const [from, to] = s.ranges[name] ?? [least, most];
  const set = (low: number, high: number) => {
    const ranges = { ...s.ranges, [name]: [Math.min(low, high), Math.max(low, high)] as [number, number] };
    if (low <= least && high >= most) delete ranges[name];
    filtered({ ranges });
  };
  return (
    <fieldset class="range">
      <legend>
        {title}{" "}
        <output>
          {short(from)} – {short(to)} {unit}
        </output>
      </legend>
      <input
        type="range"
        min={0}
        max={STEPS}
        value={stepOf(from)}
        data-stratum={name}
        aria-label={w.leastOf(title)}
        aria-valuetext={short(from)}
        onInput={(event) => set(valueAt(Number(event.currentTarget.value)), to)}
      />
      <input
        type="range"
        min={0}
        max={STEPS}
        value={stepOf(to)}
        aria-label={w.greatestOf(title)}
        aria-valuetext={short(to)}
        onInput={(event) => set(from, valueAt(Number(event.currentTarget.value)))}
      />
    </fieldset>
  );
}
