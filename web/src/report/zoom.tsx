// Zoom and pan of an image: wheel, drag, pinch, double click, and a handle for keys and buttons.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const MOST = 40;

export interface Zoomable {
  by: (factor: number) => void;
  reset: () => void;
  /** Move by a fifth of the frame. */
  pan: (right: number, down: number) => void;
}

interface View {
  scale: number;
  /** The point of the image (0 to 1) that is in the middle. */
  x: number;
  y: number;
}
const WHOLE: View = { scale: 1, x: 0.5, y: 0.5 };

export function Zoom(props: {
  width: number;
  height: number;
  label: string;
  at: [number, number, number] | null;
  handle?: { current: Zoomable | null };
  onAt?: (at: [number, number, number] | null) => void;
  onScale: (scale: number, fit: number) => void;
  children: ComponentChildren;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const start: View = props.at ? { scale: props.at[0], x: props.at[1], y: props.at[2] } : WHOLE;
  const [view, setView] = useState(start);
  const [fit, setFit] = useState(0);
  const now = useRef(start);
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const timer = useRef(0);

  const size = () => {
    const box = frame.current!.getBoundingClientRect();
    return { ...box.toJSON(), fit: Math.min(box.width / props.width, box.height / props.height) } as DOMRect & { fit: number };
  };
  const show = (next: View) => {
    const scale = Math.max(1, Math.min(MOST, next.scale));
    // The image covers the frame as far as it can: no panning into nothing.
    const box = size();
    const room = (frameSize: number, imageSize: number) => {
      const half = frameSize / (2 * imageSize * box.fit * scale);
      return half >= 0.5 ? [0.5, 0.5] : [half, 1 - half];
    };
    const [left, right] = room(box.width, props.width);
    const [top, bottom] = room(box.height, props.height);
    const clean = { scale, x: Math.max(left, Math.min(right, next.x)), y: Math.max(top, Math.min(bottom, next.y)) };
    now.current = clean;
    setView(clean);
    props.onScale(scale, box.fit);
    clearTimeout(timer.current);
    if (props.onAt) {
      timer.current = window.setTimeout(() => props.onAt!(clean.scale === 1 ? null : [clean.scale, clean.x, clean.y]), 200);
    }
  };
  /** Zoom so that a point of the screen stays where it is. */
  const zoomAt = (factor: number, clientX: number, clientY: number) => {
    const box = size();
    const old = now.current;
    const scale = Math.max(1, Math.min(MOST, old.scale * factor));
    const dx = (clientX - box.left - box.width / 2) / (props.width * box.fit);
    const dy = (clientY - box.top - box.height / 2) / (props.height * box.fit);
    show({ scale, x: old.x + dx / old.scale - dx / scale, y: old.y + dy / old.scale - dy / scale });
  };
  const moveBy = (dx: number, dy: number) => {
    const box = size();
    const { scale, x, y } = now.current;
    show({ scale, x: x - dx / (props.width * box.fit * scale), y: y - dy / (props.height * box.fit * scale) });
  };

  useLayoutEffect(() => {
    const measure = () => {
      const box = size();
      setFit(box.fit);
      props.onScale(now.current.scale, box.fit);
    };
    const watch = new ResizeObserver(measure);
    watch.observe(frame.current!);
    measure();
    return () => {
      watch.disconnect();
      clearTimeout(timer.current);
    };
  }, []);
  useEffect(() => {
    if (!props.handle) return;
    props.handle.current = {
      by: (factor) => show({ ...now.current, scale: now.current.scale * factor }),
      reset: () => show(WHOLE),
      pan: (right, down) => {
        const box = size();
        moveBy((-right * box.width) / 5, (-down * box.height) / 5);
      },
    };
  });
  // Back, Forward and links change the address's zoom from outside.
  const at = props.at?.join() ?? "";
  useEffect(() => {
    if (!props.onAt) return;
    const wanted = props.at ? { scale: props.at[0], x: props.at[1], y: props.at[2] } : WHOLE;
    const { scale, x, y } = now.current;
    if (Math.abs(wanted.scale - scale) + Math.abs(wanted.x - x) + Math.abs(wanted.y - y) > 1e-3) show(wanted);
  }, [at]);
  useEffect(() => {
    // Not passive: the page must not scroll as well.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), event.clientX, event.clientY);
    };
    const element = frame.current!;
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });

  const width = props.width * fit;
  const height = props.height * fit;
  const left = `calc(50% - ${view.x * width * view.scale}px)`;
  const top = `calc(50% - ${view.y * height * view.scale}px)`;
  return (
    <div
      class={`zoom ${view.scale > 1 ? "zoomed" : ""}`}
      ref={frame}
      role="group"
      aria-label={props.label}
      data-scale={view.scale.toFixed(2)}
      onDblClick={(event) => (now.current.scale > 1 ? show(WHOLE) : zoomAt(3, event.clientX, event.clientY))}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      }}
      onPointerMove={(event) => {
        const old = fingers.current.get(event.pointerId);
        if (!old) return;
        const others = [...fingers.current].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger);
        if (others.length) {
          const [other] = others;
          const before = Math.hypot(old.x - other.x, old.y - other.y);
          const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
          if (before > 0) zoomAt(after / before, (event.clientX + other.x) / 2, (event.clientY + other.y) / 2);
        } else moveBy(event.clientX - old.x, event.clientY - old.y);
        fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      }}
      onPointerUp={(event) => fingers.current.delete(event.pointerId)}
      onPointerCancel={(event) => fingers.current.delete(event.pointerId)}
    >
      <div class="zoom-layer" style={{ width: `${width * view.scale}px`, height: `${height * view.scale}px`, left, top }}>
        {props.children}
      </div>
      <span class="caption">{props.label}</span>
    </div>
  );
}
