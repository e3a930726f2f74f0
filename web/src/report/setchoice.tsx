import { change, report, state } from "./state";
import type { Report } from "./types";
import { words } from "./words";

export function SetChoice() {
  const sets = (report.value as Report).sets;
  return (
    <label class="field">
      <span>{words.value.set}</span>
      <select
        id="set"
        value={String(state.value.set)}
        onChange={(event) =>
          change({ set: Number(event.currentTarget.value), at: 0, open: null, zoom: null, ranges: {}, kinds: {} }, true)
        }
      >
        {sets.map((set, number) => (
          <option key={number} value={String(number)}>
            {set.title || set.name} · {set.split} ({set.samples.toLocaleString()})
          </option>
        ))}
      </select>
    </label>
  );
}
