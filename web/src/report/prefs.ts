// What a reader prefers, kept in the browser where it allows that.
import { signal } from "@preact/signals";

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(`x3-report-${name}`);
  } catch {
    return null; // some browsers keep nothing for files
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`x3-report-${name}`, value);
  } catch {
    // It is valid until the page is closed.
  }
}

export type Theme = "auto" | "light" | "dark";
const saved = kept("theme");
export const theme = signal<Theme>(saved === "light" || saved === "dark" ? saved : "auto");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
export const isDark = signal(false);

function apply(): void {
  isDark.value = theme.peek() === "auto" ? dark.matches : theme.peek() === "dark";
  document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
}
dark.addEventListener("change", apply);
apply();

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  keep("theme", chosen);
  apply();
}

const narrow = window.matchMedia("(max-width: 560px)");
/** Whether charts are drawn for a telephone. */
export const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", () => (isNarrow.value = narrow.matches));
