// Colours of runs: white text and dark backgrounds both have a contrast of at least 3 (text 4.5) with them.
const RUN = ["#1f6fd6", "#c4410f", "#0a7a56", "#a239b5", "#8a6100", "#0a7288", "#c2255c", "#5b6b7d"];
export const SHAPES = ["circle", "square", "diamond"] as const;
export type Shape = (typeof SHAPES)[number];

export const runColor = (run: number): string => RUN[run % RUN.length];
/** Runs after the eighth repeat colours with another shape; the number in the mark tells them apart as well. */
export const runShape = (run: number): Shape => SHAPES[Math.floor(run / RUN.length) % SHAPES.length];

/** How charts look. */
export interface Palette {
  /** Width in units of the chart; letters are 12 units high. */
  width: number;
  paper: string;
  text: string;
  muted: string;
  grid: string;
  run: (run: number) => string;
  /** Steps of a single hue for maps, none to full. */
  ramp: string[];
}
const LIGHT_RAMP = ["#f1f5fb", "#d3e2f6", "#a9c7ee", "#76a5e2", "#4480d0", "#245fb0", "#12428a", "#082a5e"];
const DARK_RAMP = ["#1d2632", "#1f3a5c", "#24517f", "#2f6ba8", "#4787ca", "#6ea6e2", "#a3c9f2", "#e0eefc"];
const DARK_RUN = ["#6ea8f7", "#f0875c", "#45bf94", "#d184e0", "#d3a63c", "#45b6cd", "#f27ca3", "#a5b3c4"];

export const LIGHT: Palette = {
  width: 560, paper: "#ffffff", text: "#1b2430", muted: "#55616f", grid: "#e3e7ec", run: runColor, ramp: LIGHT_RAMP,
}; // prettier-ignore
export const DARK: Palette = {
  width: 560, paper: "#1a212b", text: "#e7ebf0", muted: "#a3afbd", grid: "#303a47", run: (run) => DARK_RUN[run % DARK_RUN.length], ramp: DARK_RAMP,
}; // prettier-ignore
