// Keys that work in every view; those of an open sample are in detail.tsx.
import { signal } from "@preact/signals";
import { helpShown } from "./help";
import { change, report, state, type ViewName } from "./state";

/** What the view on the screen does about a key; true if it did something. */
export const viewKeys = signal<((key: string, event: KeyboardEvent) => boolean) | null>(null);

export const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");

export function followKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || event.defaultPrevented) return;
    if (helpShown.value || (document.querySelector("dialog[open]") && !state.peek().open)) return;
    const views: ViewName[] = report.peek()?.kind === "root" ? ["overview", "gallery"] : ["overview", "plots", "gallery"];
    if (event.key === "?") helpShown.value = true;
    else if (viewKeys.peek()?.(event.key, event)) event.preventDefault();
    else if (/^[1-3]$/.test(event.key) && views[Number(event.key) - 1] && !state.peek().open) {
      change({ view: views[Number(event.key) - 1] }, true);
    }
  });
}
