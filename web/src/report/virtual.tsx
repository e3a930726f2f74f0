// A list of equally high rows of which only those on the screen exist.
//
// Browsers limit the height of an element (Firefox to about 17 million pixels), and a hundred thousand rows on a
// telephone are higher. Above TALLEST the scroll bar therefore moves in proportion, while the wheel, keys and
// fingers still move pixel by pixel. No library that we found does that, so this is our own.
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const TALLEST = 8_000_000;
/** Rows beyond the screen's edges, so that scrolling shows no gaps. */
const BEYOND = 2;

export interface Scroller {
  /** Show this row at the top. */
  toRow: (row: number) => void;
}

export function VirtualRows(props: {
  rows: number;
  height: number;
  label: string;
  first: number;
  scroller: { current: Scroller | null };
  onTop: (row: number) => void;
  /** Must be the same function while rows stay as they are: only new rows are rendered. */
  children: (row: number) => ComponentChildren;
}) {
  const { rows, height } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ offset: props.first * height, top: 0, screen: 800 });
  const made = useRef<{ by: unknown; rows: Map<number, VNode> }>({ by: null, rows: new Map() });
  const total = rows * height;
  const tall = Math.min(total, TALLEST);
  const now = useRef({ offset: props.first * height, top: -1, settle: 0, mine: -1 });

  const room = () => Math.max(1, total - (box.current?.clientHeight ?? 0));
  const bar = () => Math.max(1, tall - (box.current?.clientHeight ?? 0));
  /** Where the scroll bar belongs for an offset. */
  const topOf = (offset: number) => (total === tall ? offset : (offset / room()) * bar());

  const show = () => {
    const element = box.current!;
    const { current } = now;
    // Never more than a screen, whatever a style sheet makes of the box.
    const screen = Math.min(element.clientHeight, 2 * window.innerHeight);
    setView({ offset: current.offset, top: element.scrollTop, screen });
    props.onTop(Math.max(0, Math.floor(current.offset / height + 0.25)));
  };

  const place = (offset: number) => {
    const element = box.current!;
    const { current } = now;
    current.offset = Math.max(0, Math.min(room(), offset));
    element.scrollTop = topOf(current.offset);
    current.top = element.scrollTop;
    show();
  };

  const onScroll = () => {
    const element = box.current!;
    const { current } = now;
    const top = element.scrollTop;
    if (top === current.top) return;
    const moved = top - current.top;
    if (total === tall) current.offset = top;
    else if (Math.abs(moved) < 2 * element.clientHeight && top > 0 && top < bar()) current.offset += moved;
    else current.offset = (top / bar()) * room();
    current.offset = Math.max(0, Math.min(room(), current.offset));
    current.top = top;
    show();
    if (total !== tall) {
      // When the movement ends the scroll bar goes to where it belongs, without moving the rows.
      clearTimeout(current.settle);
      current.settle = window.setTimeout(() => place(current.offset), 200);
    }
  };

  useLayoutEffect(() => {
    // Another height of rows (a resized window) or another list: the same row stays at the top.
    place(props.first * height);
  }, [height, rows]);

  useEffect(() => {
    props.scroller.current = { toRow: (row) => place(row * height) };
    const watch = new ResizeObserver(() => box.current && place(now.current.offset));
    watch.observe(box.current!);
    return () => {
      watch.disconnect();
      clearTimeout(now.current.settle);
      props.scroller.current = null;
    };
  }, [height, rows]);

  const from = Math.max(0, Math.floor(view.offset / height) - BEYOND);
  const to = Math.min(rows, Math.ceil((view.offset + view.screen) / height) + BEYOND);
  // Preact skips what is the same object as before, so that a row that merely moves costs nothing.
  if (made.current.by !== props.children) made.current = { by: props.children, rows: new Map() };
  const before = made.current.rows;
  made.current.rows = new Map();
  const visible = [];
  for (let row = from; row < to; row++) {
    const content = before.get(row) ?? <>{props.children(row)}</>;
    made.current.rows.set(row, content);
    visible.push(
      <div class="row" key={row} style={{ transform: `translateY(${view.top + row * height - view.offset}px)`, height: `${height}px` }}>
        {content}
      </div>,
    );
  }
  return (
    <div class="rows" ref={box} onScroll={onScroll} tabIndex={0} role="region" aria-label={props.label}>
      <div class="rows-inner" style={{ height: `${tall}px` }}>
        {visible}
      </div>
    </div>
  );
}
