// The data of the page, written by x3spatial/reports/ask: questions without their answers.

export interface Picture {
  src: string;
  w: number;
  h: number;
}

export interface Question {
  /** Opaque: it does not tell the sample. */
  id: string;
  /** Index into texts. */
  text: number;
  /** In prompt order; the answer is a point in the last one. */
  images: Picture[];
  /** The text of the answer "nothing to point at"; null where the question does not allow it. */
  absent: string | null;
  /** Whether the image is side by side, and only its right half takes a point. */
  half: boolean;
  /** The reference point of a side-by-side image, 0..1. */
  reference: [number, number] | null;
}

export interface Questions {
  format: 1;
  /** Tells pages apart in the browser's storage. */
  set: string;
  title: string;
  texts: string[];
  questions: Question[];
}

export interface Answer {
  /** Null: the absent token. */
  point: [number, number] | null;
  /** Time on the question until this answer, over all visits. */
  seconds: number;
}

export interface Progress {
  answers: Record<string, Answer>;
  /** Seconds on each question so far, also on those without an answer. */
  spent: Record<string, number>;
  at: number;
}
