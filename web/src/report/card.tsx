// A sample in the gallery: both images with the answers, and what became of each run.
import { useEffect, useState } from "preact/hooks";
import { detailNow, loadDetail, type SetIndex } from "./data";
import { boxesOf, ImageBox, Overlay, pointsOf } from "./picture";
import { RunBadge } from "./parts";
import { report } from "./state";
import { NO_ANSWER, type Detail, type Outcome, type Report } from "./types";
import { outcomeName } from "./names";
import { words } from "./words";

/** Wait before details are loaded: what flies past while somebody scrolls is not loaded at all. */
const PAUSE = 120;

/** The details of a sample when they are there. A live run's new columns come with new details. */
export function useDetail(index: SetIndex, sample: number, pause = PAUSE): Detail | undefined {
  const set = index.number;
  const perFile = (report.value as Report).sets[set].details_per_file;
  const [, wake] = useState(0);
  useEffect(() => {
    if (detailNow(set, perFile, sample)) return;
    let alive = true;
    const timer = setTimeout(() => {
      loadDetail(set, perFile, sample).then(
        () => alive && wake((n) => n + 1),
        () => undefined, // the card is shown without its outline
      );
    }, pause);
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [index, sample, perFile]);
  return detailNow(set, perFile, sample);
}

/** Text for screen readers and titles: "2 tiny: hit". */
export function outcomeOf(index: SetIndex, run: number, sample: number): Outcome | null {
  const code = index.runs.get(run)?.outcome[sample] ?? NO_ANSWER;
  return code === NO_ANSWER ? null : ((report.value as Report).outcomes[code] ?? null);
}

export const verdict = (outcome: Outcome | null): "right" | "wrong" | "neither" =>
  outcome === null || outcome.right === null ? "neither" : outcome.right ? "right" : "wrong";
export const SIGN = { right: "✓", wrong: "✗", neither: "–" } as const;

export interface CardSize {
  width: number;
  /** Height of the images. */
  image: number;
  /** Runs beside each other. */
  perLine: number;
}

export function Card(props: {
  index: SetIndex;
  sample: number;
  runs: readonly number[];
  overlay: boolean;
  size: CardSize;
  current: boolean;
  onOpen: () => void;
}) {
  const { index, sample, runs, size } = props;
  const w = words.value;
  const found = report.value as Report;
  const set = found.sets[index.number];
  const detail = useDetail(index, sample);
  const a = index.pictureA(sample);
  const b = index.pictureB(sample);
  const both = !set.concat && a !== undefined;
  const boxWidth = both ? (size.width - 2) / 2 : size.width;
  const unitOf = (image: { w: number; h: number }) => 1 / Math.min(boxWidth / image.w, size.image / image.h);
  const label = index.nameOf(index.label, sample);
  const scene = index.nameOf(index.scene, sample);
  const truth = index.truth[sample] === 0 && !Number.isNaN(index.tx[sample]) ? { x: index.tx[sample], y: index.ty[sample] } : null;
  const isRoot = found.kind === "root";
  const truthText = index.truth[sample] === 1 ? w.absent : index.truth[sample] === 2 ? w.unknown : isRoot ? w.visible : "";
  return (
    <article class={`card ${props.current ? "current" : ""}`} style={{ width: `${size.width}px` }}>
      <button type="button" class="card-open" onClick={props.onOpen} data-sample={sample}>
        <div class="images" style={{ height: `${size.image}px` }}>
          {both && (
            <ImageBox image={a} alt={isRoot ? w.original : w.pictureA}>
              {isRoot && a && props.overlay && <Overlay image={a} unit={unitOf(a)} outline={detail?.outline} truth={null} points={[]} />}
            </ImageBox>
          )}
          <ImageBox image={b} alt={isRoot ? w.inpainted : set.concat ? w.pictureBoth : w.pictureB}>
            {b && props.overlay && (
              <Overlay
                image={b}
                unit={unitOf(b)}
                outline={detail?.outline}
                truth={truth}
                points={pointsOf(index, sample, runs)}
                boxes={boxesOf(detail, runs)}
              />
            )}
          </ImageBox>
        </div>
        <div class="card-head">
          <span class="label">{label || "–"}</span>
          {truthText && <span class="tag">{truthText}</span>}
          <span class="muted scene">{scene}</span>
        </div>
      </button>
      {runs.length > 0 && (
        <ul class="verdicts" style={{ gridTemplateColumns: `repeat(${size.perLine}, minmax(0, 1fr))` }}>
          {runs.map((run) => {
            const outcome = outcomeOf(index, run, sample);
            const error = index.runs.get(run)?.error[sample] ?? NaN;
            const text = outcome === null ? (index.runs.has(run) ? w.noAnswer : w.notAsked) : outcomeName(outcome);
            const right = verdict(outcome);
            const name = found.runs[run].name;
            const said = detail?.runs[String(run)];
            const iou = said?.box && typeof said.iou === "number" ? `IoU ${said.iou.toFixed(2)}` : "";
            return (
              <li key={run} class={right} title={`${name}${w.colon}${[text, iou].filter(Boolean).join(w.and)}`}>
                <RunBadge run={run} />
                <span aria-hidden="true">{SIGN[right]}</span>
                <span class={runs.length > 4 ? "away" : "words"}>
                  {iou || text}
                  {error === error && right !== "neither" ? ` ${error.toFixed(3)}` : ""}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </article>
  );
}
