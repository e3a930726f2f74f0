// Small parts that several views use.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { runColor, runShape, type Shape } from "./colors";
import { told, toldIn } from "./names";
import { report } from "./state";
import { words } from "./words";

export function RunBadge({ run }: { run: number }) {
  return (
    <span class={`badge badge-${runShape(run)}`} aria-hidden="true">
      <svg viewBox="0 0 20 20" width="20" height="20">
        <BadgeShape shape={runShape(run)} fill={runColor(run)} />
        <text x="10" y="14" text-anchor="middle" font-size="11" font-weight="700" fill="#fff">
          {run + 1}
        </text>
      </svg>
    </span>
  );
}

function BadgeShape({ shape, fill }: { shape: Shape; fill: string }) {
  if (shape === "circle") return <circle cx="10" cy="10" r="9.5" fill={fill} />;
  if (shape === "square") return <rect x="1" y="1" width="18" height="18" rx="3" fill={fill} />;
  return <path d="M10 0L20 10L10 20L0 10Z" fill={fill} />;
}

/** `unfinished` of one set; without it a run is unfinished if it is on any set. */
export function RunName({ run, unfinished }: { run: number; unfinished?: boolean }) {
  const found = report.value?.runs[run];
  if (!found) return null;
  return (
    <span class="run-name" title={found.path}>
      <RunBadge run={run} />
      <span class="run-text">{found.name}</span>
      {(unfinished ?? found.state === "unfinished") && <span class="tag warn">{words.value.unfinished}</span>}
      {found.privileged && <span class="tag">{words.value.privileged}</span>}
      {found.people && <span class="tag">{words.value.people}</span>}
    </span>
  );
}

/** What the program said, translated where the page knows how; the language of the rest is marked. */
export const Told = ({ text }: { text: string }) => <span lang={toldIn(text)}>{told(text)}</span>;

/** A button with a panel below it; Escape and a click elsewhere close it. */
export function Menu(props: { label: ComponentChildren; name: string; class?: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  return (
    <div
      class={`menu ${props.class ?? ""}`}
      ref={root}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          setOpen(false);
          event.stopPropagation();
          root.current?.querySelector("button")?.focus();
        }
      }}
    >
      <button type="button" class="button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {props.label}
        <svg class="caret" viewBox="0 0 10 6" width="10" height="6" aria-hidden="true">
          <path d="M1 1l4 4 4-4" fill="none" stroke="currentColor" stroke-width="1.5" />
        </svg>
      </button>
      {open && (
        <div class="panel" id={id} role="group" aria-label={props.name}>
          {props.children}
        </div>
      )}
    </div>
  );
}

/** A modal dialog; the browser keeps the focus in it and closes it on Escape. */
export function Dialog(props: { title: string; class?: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current!;
    const before = document.activeElement as HTMLElement | null;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={props.class}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === ref.current && props.onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{props.title}</h2>
          <button type="button" class="button quiet" onClick={props.onClose} aria-label={words.value.close}>
            ✕
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

/** A short message for everybody, also screen readers. */
export const notice = signal("");
let timer = 0;
export function say(text: string): void {
  notice.value = text;
  clearTimeout(timer);
  timer = window.setTimeout(() => (notice.value = ""), 2500);
}
export const Notice = () => (
  <div class={`notice ${notice.value ? "shown" : ""}`} role="status" aria-live="polite">
    {notice.value}
  </div>
);

export interface SimpleTable {
  head: string[];
  rows: (string | number)[][];
}
/** What a chart shows, for those who read instead of look. */
export function DataTable({ table, label }: { table: SimpleTable; label: string }) {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table class="plain">
        <thead>
          <tr>
            {table.head.map((name, at) => (
              <th key={at} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            <tr key={at}>
              {row.map((value, column) => (column === 0 ? <th key={column} scope="row">{value}</th> : <td key={column}>{value}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
