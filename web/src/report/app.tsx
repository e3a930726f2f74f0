// The frame around the views: title, problems, choice of runs, language and theme.
import { Gallery } from "./gallery";
import { Help, helpShown } from "./help";
import { Overview } from "./overview";
import { Menu, Notice, RunName, Told } from "./parts";
import { Plots } from "./plots";
import { chooseTheme, theme, type Theme } from "./prefs";
import { RootOverview } from "./root";
import { change, chosenRuns, report, state, type ViewName } from "./state";
import type { Problem, Report } from "./types";
import { LANGUAGES, type Language } from "../language";
import { named, told } from "./names";
import { chooseLanguage, language, words } from "./words";

/** Each language in its own words. */
const LANGUAGE_CHOICE = Object.entries(LANGUAGES).map(([key, { name, tag }]): Option => [key, name, tag]);

export function App() {
  const found = report.value as Report;
  const s = state.value;
  const w = words.value;
  const views: ViewName[] = found.kind === "root" ? ["overview", "gallery"] : ["overview", "plots", "gallery"];
  const view = views.includes(s.view) ? s.view : "overview";
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>
        {w.skip}
      </a>
      <header class="top">
        <h1>
          <Logo />
          <span>{told(found.title)}</span>
          {found.live && <span class="tag live">{w.live}</span>}
        </h1>
        <nav aria-label={w.views} class="tabs">
          {views.map((name) => (
            <button
              type="button"
              key={name}
              aria-current={view === name ? "page" : undefined}
              onClick={() => change({ view: name, open: null, zoom: null }, true)}
            >
              {w[name]}
            </button>
          ))}
        </nav>
        <div class="top-end">
          {found.runs.length > 0 && <RunChooser />}
          <Choice
            name={w.language}
            value={language.value}
            options={LANGUAGE_CHOICE}
            onChange={(value) => chooseLanguage(value as Language)}
          />
          <Choice
            name={w.theme}
            value={theme.value}
            options={[["auto", w.themeAuto], ["light", w.themeLight], ["dark", w.themeDark]]}
            onChange={(value) => chooseTheme(value as Theme)}
          />
          <button type="button" class="button round" aria-label={w.help} title={`${w.help} (?)`} onClick={() => (helpShown.value = true)}>
            ?
          </button>
        </div>
      </header>
      {found.problems.length > 0 && <Problems problems={found.problems} />}
      <main id="main" tabIndex={-1} class={`view-${view}`}>
        {!found.sets.length ? (
          <p class="empty">{found.live ? w.nothingYet : w.noSets}</p>
        ) : view === "overview" ? (
          found.kind === "root" ? <RootOverview /> : <Overview />
        ) : view === "plots" ? (
          <Plots />
        ) : (
          <Gallery />
        )}
      </main>
      {helpShown.value && <Help />}
      <Notice />
    </>
  );
}

/** Two views and a point that is seen in both. */
const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
    <rect x="1" y="5" width="18" height="15" rx="3" class="logo-back" />
    <rect x="12" y="12" width="19" height="16" rx="3" class="logo-front" />
    <circle cx="21.5" cy="20" r="4" class="logo-dot" />
  </svg>
);

/** Value, text, and the language of the text if it is not the page's. */
type Option = [value: string, text: string, tag?: string];
function Choice(props: { name: string; value: string; options: Option[]; onChange: (value: string) => void }) {
  return (
    <label class="choice">
      <span class="away">{props.name}</span>
      <select value={props.value} title={props.name} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.options.map(([value, text, tag]) => (
          <option key={value} value={value} lang={tag}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function RunChooser() {
  const w = words.value;
  const all = (report.value as Report).runs;
  const chosen = chosenRuns.value;
  const toggle = (run: number, on: boolean) => {
    const next = all.map((_, number) => number).filter((number) => (number === run ? on : chosen.includes(number)));
    change({ runs: next.length === all.length ? null : next, at: 0 });
  };
  return (
    <Menu name={w.runs} class="runs" label={`${w.runs} ${chosen.length}/${all.length}`}>
      <label class="check">
        <input
          type="checkbox"
          checked={chosen.length === all.length}
          onChange={(event) => change({ runs: event.currentTarget.checked ? null : [], at: 0 })}
        />
        {w.allRuns}
      </label>
      {all.map((_, run) => (
        <label class="check" key={run}>
          <input type="checkbox" checked={chosen.includes(run)} onChange={(event) => toggle(run, event.currentTarget.checked)} />
          <RunName run={run} />
        </label>
      ))}
    </Menu>
  );
}

/** In English the code, which the audit's options and documents use; in Chinese its meaning as well. */
function kindOf({ kind = "", level }: Problem): string {
  const name = named("findings", kind);
  return [name === kind ? kind : `${name} (${kind})`, ...(level ? [named("levels", level)] : [])].join(words.value.and);
}

/** The kind where it has a name in the page's language, else the reason. */
function inBrief({ kind, reason }: Problem): string {
  const name = kind === undefined ? kind : named("findings", kind);
  return name === undefined || name === kind ? reason : name;
}

const PROBLEMS = 500;
function Problems({ problems }: { problems: Problem[] }) {
  const w = words.value;
  return (
    <details class="problems">
      <summary>
        <span class="warn-sign" aria-hidden="true">!</span>
        {w.problems(problems.length)}
        <span class="first">
          <Told text={inBrief(problems[0])} />
        </span>
      </summary>
      <div class="scroll" role="region" aria-label={w.problems(problems.length)} tabIndex={0}>
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{w.problemPath}</th>
              <th scope="col">{w.problemReason}</th>
              {problems.some((problem) => problem.kind) && <th scope="col">{w.kind}</th>}
            </tr>
          </thead>
          <tbody>
            {problems.slice(0, PROBLEMS).map((problem, at) => (
              <tr key={at}>
                <td class="path">{problem.path}</td>
                <td>
                  <Told text={problem.reason} />
                </td>
                {problem.kind && <td>{kindOf(problem)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
        {problems.length > PROBLEMS && <p>{w.more(problems.length - PROBLEMS)}</p>}
      </div>
    </details>
  );
}
