// Numbers that are looked at again and again: how fast they grow, and how they went. Memory is bounded, whatever is watched.

export interface Sample {
  /** Milliseconds since 1970. */
  at: number;
  value: number;
}

/** Samples of one thing: ten minutes, when it is looked at every three seconds. */
export const SAMPLES_MAX = 200;

/** Things that are watched at once. */
const WATCHED_MAX = 500;

/** Rates are taken over this time, so that they are calm. */
const RATE_MS = 15_000;

/** What has been seen of many things. */
export class History {
  private readonly seen = new Map<string, Sample[]>();

  add(name: string, at: number, value: number): void {
    const samples = this.seen.get(name) ?? [];
    const last = samples.at(-1);
    // The same answer again, or one that came out of order.
    if (last && last.at >= at) return;
    this.seen.delete(name);
    this.seen.set(name, [...samples, { at, value }].slice(-SAMPLES_MAX));
    const oldest = this.seen.keys().next().value;
    if (this.seen.size > WATCHED_MAX && oldest !== undefined) this.seen.delete(oldest);
  }

  of(name: string): readonly Sample[] {
    return this.seen.get(name) ?? [];
  }

  /** Per second; `null` as long as there is too little to tell. A number that fell has begun anew. */
  rate(name: string): number | null {
    const samples = this.of(name);
    const last = samples.at(-1);
    if (!last) return null;
    const first = samples.find((sample) => sample.at >= last.at - RATE_MS);
    if (!first || last.at - first.at < 1_000) return null;
    return Math.max(0, last.value - first.value) / ((last.at - first.at) / 1_000);
  }
}
