// The samples of a set as cards: filters, order, keys, and the detail view above them.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Card, type CardSize } from "./card";
import { loadAnswers, loadIds, loadSet, version, type SetIndex } from "./data";
import { DetailView } from "./detail";
import { choose } from "./filter";
import { Filters } from "./filters";
import { viewKeys } from "./keys";
import { chosenRuns, change, report, state } from "./state";
import type { Report } from "./types";
import { VirtualRows, type Scroller } from "./virtual";
import { words } from "./words";

const GAP = 14;

/** Size of the letters relative to those of a usual screen; style sheets enlarge them on very large ones. */
const letters = (): number => (parseFloat(getComputedStyle(document.documentElement).fontSize) || 15) / 15;

/** How cards are laid out in a width: how many beside each other, how large. The heights are those of report.css. */
function layout(width: number, runs: number, isWide: boolean): { across: number; size: CardSize; row: number } {
  const k = letters();
  const wanted = (isWide ? 420 : 380) * k;
  const across = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
  const card = Math.floor((width - GAP * (across - 1)) / across);
  const image = Math.round(isWide ? card * 0.42 : (card / 2) * 0.78);
  const perLine = Math.max(1, Math.floor((card - 24) / ((runs > 4 ? 46 : 168) * k)));
  const lines = runs ? Math.ceil(runs / perLine) : 0;
  const row = image + Math.ceil((38 + (lines ? lines * 25 + 8 : 0)) * k) + GAP;
  return { across, size: { width: card, image, perLine }, row };
}

/** The columns of a set, and its ids when they are needed. */
function useSet(number: number, needIds: boolean): { index: SetIndex | null; ids: string[] | null; error: string | null } {
  const [got, setGot] = useState<{ key: string; index: SetIndex } | null>(null);
  const [ids, setIds] = useState<{ key: string; ids: string[] } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const key = `${number} ${version.value} ${(report.value as Report).generator}`;
  useEffect(() => {
    let alive = true;
    setError(null);
    loadSet(number).then(
      (index) => alive && setGot({ key, index }),
      (reason: Error) => alive && setError(reason.message),
    );
    return () => {
      alive = false;
    };
  }, [key, report.value]);
  useEffect(() => {
    if (!needIds) return;
    let alive = true;
    loadIds(number).then(
      (found) => alive && setIds({ key, ids: found }),
      (reason: Error) => alive && setError(reason.message),
    );
    return () => {
      alive = false;
    };
  }, [key, needIds, report.value]);
  return {
    // While a live run's new columns are loaded, those before them are shown.
    index: got && got.index.number === number ? got.index : null,
    ids: ids && ids.key.split(" ")[0] === String(number) ? ids.ids : null,
    error,
  };
}

/** The answers of a set while somebody searches in them, and how much of them has been read. */
function useAnswers(index: SetIndex | null, needed: boolean): { answers: string[] | null; share: number; failed: boolean } {
  const [got, setGot] = useState<{ index: SetIndex; answers: string[] } | null>(null);
  const [share, setShare] = useState(0);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (!needed || !index) return;
    let alive = true;
    setFailed(false);
    const perFile = (report.value as Report).sets[index.number].details_per_file;
    loadAnswers(index.number, perFile, index.n, (part) => alive && setShare(part)).then(
      (answers) => alive && setGot({ index, answers }),
      () => alive && setFailed(true),
    );
    return () => {
      alive = false;
    };
  }, [index, needed]);
  return { answers: needed && got !== null && got.index === index ? got.answers : null, share, failed };
}

export function Gallery() {
  const w = words.value;
  const found = report.value as Report;
  const s = state.value;
  const runs = chosenRuns.value;
  const needIds = s.text !== "" || s.open !== null;
  const { index, ids, error } = useSet(s.set, needIds);
  const area = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const scroller = useRef<Scroller | null>(null);
  const typing = useRef(0);
  const set = found.sets[s.set];

  const { answers, share, failed } = useAnswers(index, s.deep && s.text !== "");
  const chosen = useMemo(
    () => (index && !(s.text && !ids) ? choose(index, s, runs, found.outcomes, ids, answers) : null),
    [index, ids, answers, runs, found, s.scene, s.label, s.outcomes, s.of, s.disagree, s.ranges, s.kinds, s.text, s.order],
  );

  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    setWidth(element.clientWidth);
    return () => watch.disconnect();
  }, [index === null]);

  // The browser shows a scroll bar inside of the width.
  const { across, size, row } = layout(Math.max(240, width - 22), runs.length, set.concat);
  const list = chosen?.list;

  const openAt = (place: number) => {
    if (!list || place < 0 || place >= list.length) return;
    const sample = list[place];
    const open = (all: string[]) => change({ open: all[sample], zoom: null }, state.peek().open === null);
    if (ids) open(ids);
    else loadIds(s.set).then(open, () => undefined);
  };
  const openSample = useMemo(() => {
    if (s.open === null || !ids) return null;
    const sample = ids.indexOf(s.open);
    return sample < 0 ? null : sample;
  }, [s.open, ids]);
  const place = openSample === null || !chosen ? -1 : chosen.place(openSample);
  const move = (step: number) => {
    if (!list?.length) return;
    if (place >= 0) openAt(Math.max(0, Math.min(list.length - 1, place + step)));
    else {
      const at = Math.max(0, Math.min(list.length - 1, s.at + step * across));
      change({ at });
      scroller.current?.toRow(Math.floor(at / across));
    }
  };
  useEffect(() => {
    viewKeys.value = (key) => {
      if (key === "ArrowRight" || key === "j") move(1);
      else if (key === "ArrowLeft" || key === "k") move(-1);
      else if (key === "o") change({ overlay: !state.peek().overlay });
      else if (key === "Enter" && state.peek().open === null && document.activeElement?.tagName !== "BUTTON") openAt(state.peek().at);
      else if (key === "/") document.getElementById("search")?.focus();
      else return false;
      return true;
    };
    return () => {
      viewKeys.value = null;
    };
  });
  const cardsOf = useCallback(
    (line: number) =>
      Array.from(list!.subarray(line * across, (line + 1) * across), (sample, column) => (
        <Card
          key={sample}
          index={index!}
          sample={sample}
          runs={runs}
          overlay={s.overlay}
          size={size}
          current={sample === openSample}
          onOpen={() => openAt(line * across + column)}
        />
      )),
    [index, list, across, size.width, size.image, size.perLine, runs, s.overlay, openSample, ids],
  );
  // Where somebody was in a list means nothing in another list.
  const onTop = (top: number) => {
    clearTimeout(typing.current);
    const at = top * across;
    typing.current = window.setTimeout(() => {
      if (state.peek().view === "gallery") change({ at });
    }, 250);
  };

  if (error) {
    return (
      <p class="empty" role="alert">
        {w.failed(error)}
      </p>
    );
  }
  return (
    <div class="gallery">
      <Filters index={index} shown={list?.length ?? null} runs={runs} reading={s.deep && s.text && !answers && !failed ? share : null} />
      <div class="cards" ref={area}>
        {!list || !index ? (
          <p class="empty">{w.loading}</p>
        ) : !list.length ? (
          <p class="empty">{w.nothing}</p>
        ) : (
          width > 0 && (
            <VirtualRows
              rows={Math.ceil(list.length / across)}
              height={row}
              label={w.gallery}
              first={Math.floor(Math.min(s.at, list.length - 1) / across)}
              scroller={scroller}
              onTop={onTop}
            >
              {cardsOf}
            </VirtualRows>
          )
        )}
      </div>
      {openSample !== null && index && (
        <DetailView
          index={index}
          sample={openSample}
          id={s.open as string}
          runs={runs}
          place={place}
          count={list?.length ?? 0}
          onMove={move}
        />
      )}
    </div>
  );
}
