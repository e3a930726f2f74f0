// Progress in the browser's storage, per page and participant.

import type { Progress } from "./types";

const empty = (): Progress => ({ answers: {}, spent: {}, at: 0 });

export class Store {
  /** Whether the browser keeps what is written. */
  readonly works: boolean;

  constructor(private readonly set: string) {
    this.works = probe();
  }

  lastParticipant(): string {
    return this.get("who") ?? "";
  }

  load(participant: string): Progress {
    const text = this.get(`p:${participant}`);
    if (!text) return empty();
    try {
      const found = JSON.parse(text) as Partial<Progress>;
      return { ...empty(), ...found };
    } catch {
      return empty();
    }
  }

  save(participant: string, progress: Progress): boolean {
    return this.put("who", participant) && this.put(`p:${participant}`, JSON.stringify(progress));
  }

  remove(participant: string): void {
    try {
      localStorage.removeItem(this.key(`p:${participant}`));
    } catch {
      // Nothing was kept.
    }
  }

  preference(name: string): string | null {
    return get(`x3ask:${name}`);
  }

  prefer(name: string, value: string): void {
    put(`x3ask:${name}`, value);
  }

  private key(name: string): string {
    // Pages opened by file:// may share one storage.
    return `x3ask:${this.set}:${name}`;
  }

  private get(name: string): string | null {
    return get(this.key(name));
  }

  private put(name: string, value: string): boolean {
    return put(this.key(name), value);
  }
}

function get(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function put(key: string, value: string): boolean {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

function probe(): boolean {
  const key = "x3ask:probe";
  const works = put(key, "1") && get(key) === "1";
  try {
    localStorage.removeItem(key);
  } catch {
    // No storage.
  }
  return works;
}
