// One sample in full: large images to zoom, every answer with its text, the prompt and the record.
import { useEffect, useRef, useState } from "preact/hooks";
import { outcomeOf, SIGN, useDetail, verdict } from "./card";
import type { SetIndex } from "./data";
import { fixed, short } from "./format";
import { whole } from "../language";
import { isTyping } from "./keys";
import { named, outcomeName, stratumName } from "./names";
import { Dialog, RunName, say, Told } from "./parts";
import { boxesOf, ImageBox, Overlay, pointsOf, type Boxes, type Point } from "./picture";
import { copy } from "./save";
import { change, report, state } from "./state";
import type { Picture, Report, Said } from "./types";
import { words } from "./words";
import { Zoom, type Zoomable } from "./zoom";

export function DetailView(props: {
  index: SetIndex;
  sample: number;
  id: string;
  runs: readonly number[];
  place: number;
  count: number;
  onMove: (step: number) => void;
}) {
  const { index, sample, runs } = props;
  const w = words.value;
  const s = state.value;
  const found = report.value as Report;
  const set = found.sets[index.number];
  const isRoot = found.kind === "root";
  const detail = useDetail(index, sample, 0);
  const prompt = typeof detail?.prompt === "number" ? index.prompts[detail.prompt] : detail?.prompt;
  const zoom = useRef<Zoomable>(null);
  const a = set.concat ? undefined : index.pictureA(sample);
  const b = index.pictureB(sample);
  const points = pointsOf(index, sample, runs);
  const boxes = boxesOf(detail, runs);
  const truth = index.truth[sample] === 0 && !Number.isNaN(index.tx[sample]) ? { x: index.tx[sample], y: index.ty[sample] } : null;
  const label = index.nameOf(index.label, sample);
  const truthText =
    index.truth[sample] === 1 ? set.absent_token : truth ? `(${fixed(truth.x, 3)}, ${fixed(truth.y, 3)})` : isRoot && index.truth[sample] === 0 ? w.visible : w.unknown;

  // A dialog takes the keys of the page behind it, so that it has its own listener.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.shiftKey && pan) zoom.current?.pan(pan[0], pan[1]);
    else if (event.key === "+" || event.key === "=") zoom.current?.by(1.4);
    else if (event.key === "-") zoom.current?.by(1 / 1.4);
    else if (event.key === "0") zoom.current?.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  useEffect(() => {
    document.addEventListener("keydown", onKeyDown, true);
    return () => document.removeEventListener("keydown", onKeyDown, true);
  });

  const close = () => change({ open: null, zoom: null }, true);
  return (
    <Dialog title={label || props.id} class="detail" onClose={close}>
      <div class="bar detail-bar">
        <button type="button" class="button" onClick={() => props.onMove(-1)} disabled={props.place <= 0}>
          ← {w.previous}
        </button>
        <button type="button" class="button" onClick={() => props.onMove(1)} disabled={props.place < 0 || props.place >= props.count - 1}>
          {w.next} →
        </button>
        <span class="muted">{props.place >= 0 ? `${whole(props.place + 1)} / ${whole(props.count)}` : ""}</span>
        <span class="group-buttons" role="group" aria-label={w.keys.zoom}>
          <button type="button" class="button" aria-label={w.zoomIn} title={`${w.zoomIn} (+)`} onClick={() => zoom.current?.by(1.4)}>
            +
          </button>
          <button type="button" class="button" aria-label={w.zoomOut} title={`${w.zoomOut} (-)`} onClick={() => zoom.current?.by(1 / 1.4)}>
            −
          </button>
          <button type="button" class="button" title="0" onClick={() => zoom.current?.reset()}>
            {w.zoomReset}
          </button>
        </span>
        <label class="check inline">
          <input type="checkbox" checked={s.overlay} onChange={(event) => change({ overlay: event.currentTarget.checked })} />
          {w.overlay}
        </label>
        <button type="button" class="button end" onClick={async () => (await copy(location.href)) && say(w.copied)}>
          {w.copyLink}
        </button>
      </div>
      <div class={`detail-images ${a ? "" : "one"}`}>
        {a && <Large picture={a} caption={isRoot ? w.original : w.pictureA} outline={isRoot && s.overlay ? detail?.outline : undefined} truth={null} points={[]} overlay={s.overlay} />}
        {b && (
          <Large
            picture={b}
            caption={isRoot ? w.inpainted : set.concat ? w.pictureBoth : w.pictureB}
            outline={detail?.outline}
            truth={truth}
            points={points}
            boxes={boxes}
            overlay={s.overlay}
            handle={zoom}
            at={s.zoom}
            onAt={(at) => change({ zoom: at })}
          />
        )}
      </div>
      <p class="muted hint">{w.drag}</p>
      <dl class="facts">
        <Fact name={w.truth} value={truthText} />
        <Fact name={w.scene} value={index.nameOf(index.scene, sample)} />
        {[...index.numbers.keys()].map((name) => {
          const value = index.stratum(name)![sample];
          return value === value ? <Fact key={name} name={stratumName(name, found.strata)} value={`${short(value)} ${found.strata[name]?.unit ?? ""}`} /> : null;
        })}
        {[...index.named].map(([name, column]) => {
          const value = index.nameOf(column, sample);
          return value ? <Fact key={name} name={stratumName(name, found.strata)} value={named("values", value)} /> : null;
        })}
        <Fact name={w.id} value={props.id} />
      </dl>
      {runs.length > 0 && (
        <div class="scroll" role="region" aria-label={w.answers} tabIndex={0}>
          <table class="plain answers">
            <thead>
              <tr>
                {[w.run, w.outcome, w.answer, w.point, w.distance].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => {
                const outcome = outcomeOf(index, run, sample);
                const said = detail?.runs[String(run)];
                const error = index.runs.get(run)?.error[sample] ?? NaN;
                const right = verdict(outcome);
                return (
                  <tr key={run}>
                    <th scope="row">
                      <RunName run={run} />
                    </th>
                    <td class={right}>
                      <span aria-hidden="true">{SIGN[right]}</span>{" "}
                      {outcome === null ? (index.runs.has(run) ? w.noAnswer : w.notAsked) : outcomeName(outcome)}
                    </td>
                    <td>
                      {said && (said.text ? <pre>{said.text}</pre> : <span class="muted">{w.emptyText}</span>)}
                      {said?.flags?.map((flag) => (
                        <span class="tag warn" key={flag}>
                          {named("flags", flag)}
                        </span>
                      ))}
                      {said?.reason && (
                        <div class="muted reason">
                          {w.reason}
                          {w.colon}
                          <Told text={said.reason} />
                        </div>
                      )}
                    </td>
                    <td>{said ? <Place said={said} /> : "–"}</td>
                    <td>{error === error ? fixed(error, 4) : typeof said?.iou === "number" ? `IoU ${fixed(said.iou, 4)}` : "–"}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {detail ? (
        <>
          {prompt && (
            <details open class="prompt">
              <summary>{w.prompt}</summary>
              <pre tabIndex={0}>{prompt}</pre>
            </details>
          )}
          <details class="record">
            <summary>{w.record}</summary>
            <pre tabIndex={0}>{JSON.stringify(detail.record, null, 2)}</pre>
          </details>
        </>
      ) : (
        <p class="muted">{w.loading}</p>
      )}
    </Dialog>
  );
}

/** The numbers that were said; of boxes the centre is judged as well. */
function Place({ said }: { said: Said }) {
  const w = words.value;
  if (said.point) return <>{`${said.point[0]}, ${said.point[1]}`}</>;
  if (!said.box) return <>–</>;
  return (
    <>
      {`${w.box}${w.colon}${said.box.map((value) => fixed(value, 3)).join(", ")}`}
      {typeof said.centre_in_mask === "boolean" && <div class="muted">{said.centre_in_mask ? w.centreIn : w.centreOut}</div>}
    </>
  );
}

const Fact = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
);

function Large(props: {
  picture: Picture;
  caption: string;
  outline?: number[][];
  truth: { x: number; y: number } | null;
  points: Point[];
  boxes?: Boxes;
  overlay: boolean;
  handle?: { current: Zoomable | null };
  at?: [number, number, number] | null;
  onAt?: (at: [number, number, number] | null) => void;
}) {
  const { picture } = props;
  const [view, setView] = useState({ scale: 1, fit: 0 });
  return (
    <Zoom
      key={`${picture.src}`}
      width={picture.w}
      height={picture.h}
      label={props.caption}
      handle={props.handle}
      at={props.at ?? null}
      onAt={props.onAt}
      onScale={(scale, fit) => setView({ scale, fit })}
    >
      <ImageBox image={picture} alt={props.caption}>
        {props.overlay && view.fit > 0 && (
          <Overlay image={picture} unit={1 / (view.fit * view.scale)} outline={props.outline} truth={props.truth} points={props.points} boxes={props.boxes} big />
        )}
      </ImageBox>
    </Zoom>
  );
}
