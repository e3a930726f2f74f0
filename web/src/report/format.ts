// Numbers as texts, rounded as Python does it.

/** `value` with a number of decimals; exact ties go to the even digit, as in Python's format. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  // toFixed is exact but rounds ties up. A tie is a binary fraction, so that the product below is exact.
  if (!Number.isInteger(value * 2 ** (decimals + 1))) return text;
  const scaled = Math.abs(value) * 10 ** decimals;
  const whole = Math.floor(scaled);
  if (scaled - whole !== 0.5) return text;
  const even = whole % 2 === 0 ? whole : whole + 1;
  return ((Math.sign(value) * even) / 10 ** decimals).toFixed(decimals);
}

/** The number of decimals of a printed number. */
export const decimalsOf = (text: string): number => (/\.(\d+)/.exec(text)?.[1] ?? "").length;

export const percent = (value: number, decimals = 1): string => `${fixed(100 * value, decimals)} %`;

/** A number for axes and sliders: short. */
export function short(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return String(Number(value.toPrecision(size < 0.1 ? 2 : 3)));
}
