// The languages of the pages, and which of them a reader gets.

export type Language = "en" | "zh";

/** BCP 47 tag for `lang`, and the language's name in itself. */
export const LANGUAGES: Record<Language, { tag: string; name: string }> = {
  en: { tag: "en", name: "English" },
  zh: { tag: "zh-Hans", name: "中文" },
};

const isLanguage = (text: string | null): text is Language => text !== null && Object.keys(LANGUAGES).includes(text);

/** What the reader chose before, else the first of the browser's languages that there is, else English. */
export function preferred(saved: string | null, wanted: readonly string[] = navigator.languages): Language {
  if (isLanguage(saved)) return saved;
  return wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find(isLanguage) ?? "en";
}

/** Tell the browser, and with it screen readers and the choice of a font. */
export function announce(language: Language): void {
  document.documentElement.lang = LANGUAGES[language].tag;
}

/** A number of things: English has two forms. `text` gets the number in place of `#`. */
export const counted = (n: number, one: string, many: string): string => (n === 1 ? one : many).replace("#", whole(n));

/** A whole number, grouped the same way in both languages and in every browser. */
export const whole = (n: number): string => n.toLocaleString("en", { maximumFractionDigits: 0 });
