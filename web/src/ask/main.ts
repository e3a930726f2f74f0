// x3 ask: questions for a person. The page has no truth in it and sends nothing.

import "./ask.css";
import { answerText, download, jsonLines, median } from "./answers";
import { button, make } from "./dom";
import { Pane } from "./pane";
import { Store } from "./store";
import type { Progress, Question, Questions } from "./types";
import { announce, LANGUAGES, preferred, type Language } from "../language";
import { WORDS } from "./words";

declare global {
  interface Window {
    x3ask?: (data: Questions) => void;
  }
}

const FAR = 20; // pixels of a step with Shift

class App {
  private language: Language;
  private participant = "";
  private progress: Progress = { answers: {}, spent: {}, at: 0 };
  private readonly store: Store;
  private panes: Pane[] = [];
  private loading = 0;
  /** When the time on this question began to run; null while it does not. */
  private since: number | null = null;
  /** Number of the text that is folded away. */
  private folded: number | null = null;
  private screen: "start" | "question" | "end" = "start";

  constructor(
    private readonly root: HTMLElement,
    private readonly data: Questions,
  ) {
    this.store = new Store(data.set);
    this.language = preferred(this.store.preference("language"));
    this.applyTheme();
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stopClock() : this.startClock()));
    window.addEventListener("pagehide", () => {
      this.stopClock();
      this.save();
    });
    this.render();
  }

  private get words() {
    return WORDS[this.language];
  }

  private get other(): Language {
    return this.language === "en" ? "zh" : "en";
  }

  /** The title that somebody gave, or the page's own one in its language. */
  private get title(): string {
    return this.data.title === WORDS.en.title ? this.words.title : this.data.title;
  }

  private get questions(): Question[] {
    return this.data.questions;
  }

  private get question(): Question {
    return this.questions[this.progress.at]!;
  }

  // Screens

  private render(): void {
    for (const pane of this.panes) pane.close();
    this.panes = [];
    announce(this.language);
    document.title = this.title;
    const screens = { start: () => this.start(), question: () => this.ask(), end: () => this.end() };
    this.root.replaceChildren(this.header(), screens[this.screen]());
    this.root.dataset.screen = this.screen;
  }

  private header(): HTMLElement {
    const words = this.words;
    const done = this.done();
    return make(
      "header",
      {},
      make("h1", {}, this.screen === "question" ? words.question(this.progress.at + 1, this.questions.length) : this.title),
      this.screen === "question"
        ? make("progress", { max: this.questions.length, value: done, "aria-label": words.answered(done) })
        : null,
      make(
        "span",
        { class: "tools" },
        this.screen === "question" ? button("⤓", () => this.download(), { class: "small", title: words.download, "aria-label": words.download, id: "download-now" }) : null,
        button(LANGUAGES[this.other].name, () => this.setLanguage(), { class: "small", id: "language", lang: LANGUAGES[this.other].tag }),
        button("◐", () => this.setTheme(), { class: "small", title: words.theme, "aria-label": words.theme, id: "theme" }),
      ),
    );
  }

  private start(): HTMLElement {
    const words = this.words;
    const count = this.questions.length;
    if (count === 0) return make("main", { class: "text" }, make("p", {}, words.empty));
    const name = make("input", {
      id: "name",
      type: "text",
      maxlength: 60,
      required: true,
      autocomplete: "off",
      spellcheck: "false",
      value: this.participant || this.store.lastParticipant(),
      "aria-describedby": "name-hint",
    });
    const go = make("button", { type: "submit", class: "main", id: "start" });
    const label = () => {
      const found = this.store.load(name.value.trim());
      const done = this.questions.filter((question) => found.answers[question.id]).length;
      go.textContent = done > 0 ? words.resume(done, count) : words.start;
    };
    name.addEventListener("input", label);
    label();
    const form = make(
      "form",
      {
        submit: (event) => {
          event.preventDefault();
          if (name.value.trim()) this.begin(name.value.trim());
          else name.focus();
        },
      },
      make("label", { for: "name" }, words.name),
      name,
      make("p", { id: "name-hint", class: "hint" }, words.nameHint),
      go,
    );
    const asksAbsent = this.questions.some((question) => question.absent !== null);
    return make(
      "main",
      { class: "text" },
      make("p", {}, words.intro(count)),
      make("p", {}, words.how),
      asksAbsent ? make("p", {}, words.howAbsent) : null,
      form,
      make("p", { class: this.store.works ? "hint" : "warning", id: "storage" }, this.store.works ? words.private : words.noStorage),
      this.keys(asksAbsent),
    );
  }

  private keys(asksAbsent: boolean): HTMLElement {
    const words = this.words;
    const rows: [string[], string][] = [
      [["Enter"], words.keyNext],
      [["Backspace"], words.keyBack],
      ...(asksAbsent ? ([[["N"], words.keyAbsent]] as [string[], string][]) : []),
      [["←", "↑", "→", "↓"], words.keyMove],
      [["U"], words.keyUndo],
      [["S"], words.keySkip],
      [["+", "−", "0"], words.keyZoom],
    ];
    return make(
      "details",
      { class: "keys" },
      make("summary", {}, words.keys),
      make(
        "dl",
        {},
        ...rows.flatMap(([keys, text]) => [
          make("dt", {}, ...keys.map((key) => make("kbd", {}, key))),
          make("dd", {}, text),
        ]),
      ),
    );
  }

  private ask(): HTMLElement {
    const words = this.words;
    const question = this.question;
    const last = question.images.length - 1;
    this.loading = question.images.length;
    this.panes = question.images.map(
      (picture, number) =>
        new Pane({
          picture,
          caption: question.half ? words.imageHalf : words.image(number + 1, question.images.length),
          words,
          place: number === last ? (x, y) => this.place(x, y) : null,
          reference: number === last ? question.reference : null,
          loaded: () => {
            this.loading -= 1;
            this.startClock();
          },
        }),
    );
    const first = this.progress.at === 0;
    const main = make(
      "main",
      { class: "question" },
      this.asked(question),
      make("div", { class: question.images.length === 1 ? "panes one" : "panes" }, ...this.panes.map((pane) => pane.element)),
      make(
        "nav",
        { "aria-label": words.question(this.progress.at + 1, this.questions.length) },
        button(words.back, () => this.step(-1), { id: "back", disabled: first }),
        button(words.undo, () => this.undo(), { id: "undo" }),
        question.absent === null ? null : button(this.absentWord(question), () => this.absent(), { id: "absent", "aria-pressed": "false" }),
        make("output", { id: "state", "aria-live": "polite" }),
        button(words.skip, () => this.step(1), { id: "skip" }),
        button(this.isLast() ? words.finish : words.next, () => this.next(), { id: "next", class: "main" }),
      ),
    );
    this.preload();
    queueMicrotask(() => {
      this.showAnswer();
      this.panes[last]?.view.focus({ preventScroll: true });
    });
    return main;
  }

  /** The question; a person who knows it folds it away until another one comes. */
  private asked(question: Question): HTMLElement {
    const words = this.words;
    const folded = this.folded === question.text;
    const details = make(
      "details",
      {
        class: "asked",
        open: !folded,
        toggle: () => {
          this.folded = details.open ? null : question.text;
          for (const pane of this.panes) pane.relayout();
        },
      },
      make("summary", {}, words.task),
      make("p", { id: "asked" }, this.data.texts[question.text] ?? "", question.reference ? ` ${words.referencePoint}` : ""),
    );
    return details;
  }

  private end(): HTMLElement {
    const words = this.words;
    const answers = this.questions.map((question) => this.progress.answers[question.id]).filter((answer) => answer !== undefined);
    const open = this.questions.length - answers.length;
    const sure = make("p", { hidden: true, class: "warning", id: "sure" });
    sure.append(
      words.againSure,
      " ",
      button(words.yes, () => this.restart(), { id: "sure-yes" }),
      " ",
      button(words.no, () => (sure.hidden = true), { id: "sure-no" }),
    );
    return make(
      "main",
      { class: "text" },
      make("h2", {}, words.endTitle),
      make("p", { id: "summary" }, open === 0 ? words.endAll(this.questions.length) : words.endOpen(open)),
      answers.length > 0 ? make("p", {}, words.endTime(median(answers.map((answer) => answer.seconds)).toFixed(1))) : null,
      make("p", {}, words.endSend),
      make(
        "p",
        { class: "row" },
        button(words.download, () => this.download(), { id: "download", class: "main" }),
        open > 0 ? button(words.toOpen, () => this.toOpen(), { id: "open" }) : null,
        button(words.back, () => this.goTo(this.questions.length - 1), { id: "back" }),
        button(words.again, () => (sure.hidden = false), { id: "again" }),
      ),
      sure,
    );
  }

  // Actions

  private begin(participant: string): void {
    this.participant = participant;
    this.progress = this.store.load(participant);
    this.progress.at = Math.min(Math.max(0, this.progress.at), this.questions.length - 1);
    this.screen = "question";
    this.save();
    this.render();
  }

  private place(x: number, y: number): void {
    if (this.question.half && x < 0.5) {
      this.say(this.words.rightHalf);
      return;
    }
    this.give([x, y]);
  }

  private absent(): void {
    if (this.question.absent !== null) this.give(null);
  }

  private give(point: [number, number] | null): void {
    this.stopClock();
    this.progress.answers[this.question.id] = { point, seconds: this.progress.spent[this.question.id] ?? 0 };
    this.startClock();
    this.save();
    this.showAnswer();
  }

  private undo(): void {
    delete this.progress.answers[this.question.id];
    this.save();
    this.showAnswer();
  }

  private next(): void {
    if (this.progress.answers[this.question.id]) this.step(1);
    else this.say(this.words.noAnswer);
  }

  private step(by: number): void {
    this.goTo(this.progress.at + by);
  }

  private goTo(place: number): void {
    this.stopClock();
    if (place < 0) return;
    this.screen = place < this.questions.length ? "question" : "end";
    if (this.screen === "question") this.progress.at = place;
    this.save();
    this.render();
    window.scrollTo(0, 0);
  }

  private toOpen(): void {
    this.goTo(this.questions.findIndex((question) => !this.progress.answers[question.id]));
  }

  private restart(): void {
    this.store.remove(this.participant);
    this.progress = { answers: {}, spent: {}, at: 0 };
    this.screen = "start";
    this.render();
  }

  private download(): void {
    const name = this.participant.replace(/[^\p{L}\p{N}._-]+/gu, "_");
    download(`answers-${name}.jsonl`, jsonLines(this.questions, this.progress, this.participant));
  }

  private move(x: number, y: number): void {
    const question = this.question;
    const image = question.images[question.images.length - 1]!;
    const left = question.half ? Math.ceil(image.w / 2) : 0;
    const from = this.progress.answers[question.id]?.point ?? [(left + image.w) / 2 / image.w, 0.5];
    const started = this.progress.answers[question.id]?.point != null;
    // Centres of pixels, so that the text names one pixel whatever its rounding.
    const column = Math.floor(from[0] * image.w) + (started ? x : 0);
    const row = Math.floor(from[1] * image.h) + (started ? y : 0);
    this.give([
      (Math.min(image.w - 1, Math.max(left, column)) + 0.5) / image.w,
      (Math.min(image.h - 1, Math.max(0, row)) + 0.5) / image.h,
    ]);
  }

  private key(event: KeyboardEvent): void {
    if (this.screen !== "question" || event.altKey || event.ctrlKey || event.metaKey) return;
    const onButton = event.target instanceof HTMLButtonElement;
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    const step = event.shiftKey ? FAR : 1;
    const active = this.panes.find((pane) => pane.view === document.activeElement);
    const asked = this.panes[this.panes.length - 1]!;
    const pane = active ?? asked;
    const arrow = (x: number, y: number) =>
      pane === asked ? this.move(x * step, y * step) : pane.pan(-x * step * 10, -y * step * 10);
    const actions: Record<string, () => void> = {
      Enter: () => this.next(),
      Backspace: () => this.step(-1),
      n: () => this.absent(),
      u: () => this.undo(),
      s: () => this.step(1),
      "+": () => pane.zoomBy(1.5),
      "=": () => pane.zoomBy(1.5),
      "-": () => pane.zoomBy(1 / 1.5),
      "0": () => pane.fit(),
      ArrowLeft: () => arrow(-1, 0),
      ArrowRight: () => arrow(1, 0),
      ArrowUp: () => arrow(0, -1),
      ArrowDown: () => arrow(0, 1),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  // State

  private showAnswer(): void {
    if (this.screen !== "question") return;
    const answer = this.progress.answers[this.question.id];
    const asked = this.panes[this.panes.length - 1]!;
    asked.show(answer?.point ?? null);
    const absent = document.getElementById("absent");
    const saysAbsent = answer !== undefined && answer.point === null;
    absent?.setAttribute("aria-pressed", String(saysAbsent));
    const undo = document.getElementById("undo") as HTMLButtonElement;
    undo.disabled = answer === undefined;
    const bar = document.querySelector("progress");
    if (bar) {
      bar.value = this.done();
      bar.setAttribute("aria-label", this.words.answered(this.done()));
    }
    this.say(!answer ? this.words.noAnswer : saysAbsent ? this.words.chosenAbsent(this.absentWord(this.question)) : this.words.chosenPoint);
    const state = document.getElementById("state")!;
    state.dataset.answer = answer ? answerText(this.question, answer) : "";
  }

  private say(text: string): void {
    const state = document.getElementById("state");
    if (state) state.textContent = text;
  }

  private absentWord(question: Question): string {
    const token = question.absent ?? "";
    return this.words.absent[token] ?? token.replace(/_/g, " ").toLowerCase();
  }

  private done(): number {
    return this.questions.filter((question) => this.progress.answers[question.id]).length;
  }

  private isLast(): boolean {
    return this.progress.at === this.questions.length - 1;
  }

  private save(): void {
    if (this.participant) this.store.save(this.participant, this.progress);
  }

  /** Time counts while the images are there and the page is seen. */
  private startClock(): void {
    if (this.screen === "question" && this.loading <= 0 && !document.hidden) this.since ??= performance.now();
  }

  private stopClock(): void {
    if (this.since === null) return;
    const { spent } = this.progress;
    spent[this.question.id] = (spent[this.question.id] ?? 0) + (performance.now() - this.since) / 1000;
    this.since = null;
  }

  private preload(): void {
    for (const picture of this.questions[this.progress.at + 1]?.images ?? []) new Image().src = picture.src;
  }

  private setLanguage(): void {
    this.language = this.other;
    this.store.prefer("language", this.language);
    this.stopClock();
    this.render();
    document.getElementById("language")?.focus();
  }

  private setTheme(): void {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    this.store.prefer("theme", dark ? "light" : "dark");
    this.applyTheme();
  }

  private applyTheme(): void {
    const theme = this.store.preference("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  }
}

function main(): void {
  const root = document.getElementById("app")!;
  let received = false;
  window.x3ask = (data) => {
    received = true;
    new App(root, data);
  };
  const script = document.createElement("script");
  script.src = "data/questions.js";
  const failed = () => {
    if (!received) root.replaceChildren(make("main", { class: "text" }, make("h1", {}, "x3 ask"), make("p", { role: "alert" }, `${WORDS.en.noData} ${WORDS.zh.noData}`)));
  };
  script.addEventListener("error", failed);
  script.addEventListener("load", failed);
  document.head.append(script);
}

main();
