// The answers as x3 score reads them: JSON Lines of id, text, seconds, participant.

import type { Answer, Progress, Question } from "./types";

/** "[(x, y)]" in 0..1 of the image, with a hundredth of a pixel or better. */
export function answerText(question: Question, answer: Answer): string {
  if (answer.point === null) return question.absent ?? "NOT_VISIBLE";
  const image = question.images[question.images.length - 1]!;
  const digits = Math.max(4, Math.ceil(Math.log10(Math.max(image.w, image.h))) + 2);
  const [x, y] = answer.point.map((value) => value.toFixed(digits));
  return `[(${x}, ${y})]`;
}

/** One line per question in the order of the page; text null where there is no answer. */
export function jsonLines(questions: Question[], progress: Progress, participant: string): string {
  return questions
    .map((question) => {
      const answer = progress.answers[question.id];
      const line = {
        id: question.id,
        text: answer ? answerText(question, answer) : null,
        seconds: answer ? Math.round(answer.seconds * 100) / 100 : null,
        participant,
      };
      return `${JSON.stringify(line)}\n`;
    })
    .join("");
}

export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
