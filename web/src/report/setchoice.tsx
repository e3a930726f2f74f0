import { change, report, state } from "./state";
import type { Report, TaskSet } from "./types";
import { whole } from "../language";
import { words } from "./words";

/** "Task1 multi · val"; a data root's sets are its splits. */
export const setTitle = (set: TaskSet): string => {
  const title = set.title || set.name;
  return title === set.split ? title : `${title} · ${set.split}`;
};

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
            {setTitle(set)} ({whole(set.samples)})
          </option>
        ))}
      </select>
    </label>
  );
}
