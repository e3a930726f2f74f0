// One image: fitted into its column, zoomed and panned by wheel, buttons, keys and fingers. A click that is not
// a drag is reported in the coordinates of the image, whatever its displayed size.

import { make } from "./dom";
import type { Picture } from "./types";
import type { Words } from "./words";

const MOST_ZOOM = 40;
const STEP = 1.5;
const NARROW = 700; // as in ask.css
const LEAST = 220; // height of an image
const GAP = 12;
const DRAG = 6; // CSS pixels that a click may wander

export interface PaneOptions {
  picture: Picture;
  caption: string;
  words: Words;
  /** Called with a point in 0..1; null: the image takes no answer. */
  place: ((x: number, y: number) => void) | null;
  reference: [number, number] | null;
  loaded: () => void;
}

export class Pane {
  readonly element: HTMLElement;
  readonly view: HTMLElement;
  private readonly image: HTMLImageElement;
  private readonly stage: HTMLElement;
  private readonly marks: { element: HTMLElement; at: () => [number, number] | null }[] = [];
  private point: [number, number] | null = null;
  private zoom = 1;
  private left = 0;
  private top = 0;
  private base = 1; // displayed pixels per image pixel where the whole image is shown
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;
  private readonly watcher: ResizeObserver;

  constructor(private readonly options: PaneOptions) {
    const { picture, caption, words, reference } = options;
    this.image = make("img", { alt: "", draggable: "false", width: picture.w, height: picture.h });
    this.image.addEventListener("load", () => options.loaded());
    this.image.addEventListener("error", () => {
      this.view.append(make("p", { class: "broken", role: "alert" }, words.broken));
      options.loaded();
    });
    this.stage = make("div", { class: "stage" }, this.image);
    this.view = make(
      "div",
      {
        class: options.place ? "view asks" : "view",
        tabindex: 0,
        role: "group",
        "aria-label": `${caption}. ${options.place ? words.view : words.look}`,
      },
      this.stage,
    );
    if (reference) this.mark("reference", () => reference);
    this.mark("cross", () => this.point);
    const zoom = (name: string, text: string, change: () => void) =>
      make("button", { type: "button", class: "small", title: name, "aria-label": name, click: change }, text);
    this.element = make(
      "figure",
      { class: "pane" },
      make(
        "figcaption",
        {},
        make("span", {}, caption),
        make(
          "span",
          { class: "zoom" },
          zoom(words.zoomIn, "+", () => this.zoomBy(STEP)),
          zoom(words.zoomOut, "−", () => this.zoomBy(1 / STEP)),
          zoom(words.fit, "⤢", () => this.fit()),
        ),
      ),
      this.view,
    );
    this.listen();
    this.watcher = new ResizeObserver(() => this.layout());
    this.watcher.observe(this.view);
    window.addEventListener("resize", this.relayout);
    this.image.src = picture.src;
  }

  close(): void {
    this.watcher.disconnect();
    window.removeEventListener("resize", this.relayout);
  }

  /** Also when the text above the image is opened or closed. */
  readonly relayout = (): void => this.layout();

  show(point: [number, number] | null): void {
    this.point = point;
    this.draw();
  }

  zoomBy(factor: number, x = this.view.clientWidth / 2, y = this.view.clientHeight / 2): void {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
    const change = zoom / this.zoom;
    this.left = x - (x - this.left) * change;
    this.top = y - (y - this.top) * change;
    this.zoom = zoom;
    this.draw();
  }

  fit(): void {
    this.zoom = 1;
    this.draw();
  }

  pan(x: number, y: number): void {
    this.left += x;
    this.top += y;
    this.draw();
  }

  get enlarged(): boolean {
    return this.zoom > 1;
  }

  private mark(name: string, at: () => [number, number] | null): void {
    const element = make("div", { class: `mark ${name}`, "aria-hidden": "true" });
    this.view.append(element);
    this.marks.push({ element, at });
  }

  /** The height follows from the column's width and the room above the buttons; a narrow page scrolls. */
  private layout(): void {
    const { w, h } = this.options.picture;
    const width = this.view.clientWidth;
    const top = this.view.getBoundingClientRect().top + scrollY;
    const below = document.querySelector("nav")?.offsetHeight ?? 0;
    const room = innerWidth <= NARROW ? innerHeight * 0.6 : innerHeight - top - below - GAP;
    const height = Math.min((width * h) / w, Math.max(LEAST, room));
    this.view.style.height = `${height}px`;
    this.base = Math.min(width / w, height / h);
    this.draw();
  }

  private draw(): void {
    const { w, h } = this.options.picture;
    const scale = this.base * this.zoom;
    this.left = held(this.left, w * scale, this.view.clientWidth);
    this.top = held(this.top, h * scale, this.view.clientHeight);
    this.stage.style.transform = `translate(${this.left}px, ${this.top}px) scale(${scale})`;
    this.image.classList.toggle("pixels", scale * devicePixelRatio > 2);
    this.view.classList.toggle("enlarged", this.enlarged);
    for (const { element, at } of this.marks) {
      const point = at();
      element.hidden = point === null;
      if (point)
        element.style.transform = `translate(${this.left + point[0] * w * scale}px, ${this.top + point[1] * h * scale}px)`;
    }
  }

  /** The point of the image at a place of the window; null beside the image. */
  private at(clientX: number, clientY: number): [number, number] | null {
    const box = this.view.getBoundingClientRect();
    const { w, h } = this.options.picture;
    const scale = this.base * this.zoom;
    const x = (clientX - box.left - this.view.clientLeft - this.left) / (w * scale);
    const y = (clientY - box.top - this.view.clientTop - this.top) / (h * scale);
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : null;
  }

  private listen(): void {
    const view = this.view;
    view.addEventListener(
      "wheel",
      (event) => {
        if (event.deltaY > 0 && !this.enlarged) return; // the page scrolls
        event.preventDefault();
        const box = view.getBoundingClientRect();
        this.zoomBy(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
      },
      { passive: false },
    );
    view.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (this.pointers.size === 0) this.moved = 0;
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      view.setPointerCapture(event.pointerId);
      if (this.pointers.size > 1) this.moved = Infinity; // two fingers never answer
    });
    view.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = { x: event.clientX, y: event.clientY };
      this.moved += Math.hypot(now.x - before.x, now.y - before.y);
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.pointers.set(event.pointerId, now);
      if (others.length > 0) {
        const other = others[0]!;
        const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
        const box = view.getBoundingClientRect();
        if (Number.isFinite(factor))
          this.zoomBy(factor, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
        this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      } else if (this.moved > DRAG) {
        this.pan(now.x - before.x, now.y - before.y);
      }
    });
    view.addEventListener("pointerup", (event) => {
      if (!this.pointers.delete(event.pointerId) || this.pointers.size > 0) return;
      const point = this.moved > DRAG ? null : this.at(event.clientX, event.clientY);
      if (point && this.options.place) this.options.place(...point);
    });
    view.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
  }
}

/** An offset that keeps an image of this size in sight; a smaller one is centred. */
function held(offset: number, size: number, room: number): number {
  return size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset));
}
