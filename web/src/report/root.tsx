// A data root: its splits and what the audit found.
import { whole } from "../language";
import { named } from "./names";
import { change, report } from "./state";
import type { Report } from "./types";
import { words } from "./words";

export function RootOverview() {
  const found = report.value as Report;
  const w = words.value;
  const kinds = found.findings ?? count(found);
  return (
    <div class="root">
      <div class="tiles">
        {found.sets.map((set, at) => (
          <button type="button" class="tile" key={at} onClick={() => change({ view: "gallery", set: at, at: 0 }, true)}>
            <span class="tile-name">{set.title || set.name}</span>
            <span class="tile-number">{whole(set.samples)}</span>
            <span class="muted">{w.viewsOf(set.samples)}</span>
            {set.facts && (
              <>
                <span class="muted">{w.rootFacts(set.facts.scenes, set.facts.objects)}</span>
                <span class="muted">{w.rootSeen(set.facts.views_visible, set.facts.views_not_visible)}</span>
              </>
            )}
          </button>
        ))}
      </div>
      <h2>{w.findings}</h2>
      {kinds.length ? (
        <div class="scroll card-surface" role="region" aria-label={w.findings} tabIndex={0}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{w.finding}</th>
                <th scope="col">{w.count}</th>
              </tr>
            </thead>
            <tbody>
              {kinds.map((kind) => (
                <tr key={kind.kind}>
                  <th scope="row">
                    {named("findings", kind.kind, kind.words)} {kind.words && <code>{kind.kind}</code>}
                  </th>
                  <td>{whole(kind.count)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p>{w.noFindings}</p>
      )}
    </div>
  );
}

function count(found: Report): { kind: string; count: number; words?: string }[] {
  const counts = new Map<string, number>();
  for (const problem of found.problems) counts.set(problem.kind ?? problem.reason, (counts.get(problem.kind ?? problem.reason) ?? 0) + 1);
  return [...counts].map(([kind, number]) => ({ kind, count: number })).sort((a, b) => b.count - a.count);
}
