import { render } from "preact";
import { effect } from "@preact/signals";
import { App } from "./app";
import { followChanges, forget, loadReport } from "./data";
import { followKeys } from "./keys";
import { followAddress, report, state } from "./state";
import { announce } from "../language";
import { told } from "./names";
import { language, words } from "./words";
import "./report.css";

const place = document.getElementById("app") as HTMLElement;

function fail(error: unknown): void {
  const file = error instanceof Error ? error.message : String(error);
  render(<p class="empty" role="alert">{words.value.failed(file)}</p>, place);
}

effect(() => announce(language.value));

async function start(): Promise<void> {
  report.value = await loadReport();
  followAddress();
  followKeys();
  effect(() => {
    const found = report.value;
    if (found) document.title = `${told(found.title)} · ${words.value[state.value.view]}`;
  });
  render(<App />, place);
  if (report.value.live) {
    followChanges(async () => {
      const found = await loadReport();
      forget();
      report.value = found;
    });
  }
}

start().catch(fail);
