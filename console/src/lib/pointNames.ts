// Where the names of points stand in a scatter plot: beside their own points and on nobody else's.

import { niceStep } from './chartData';

export interface NamedPoint {
  name: string;
  x: number;
  y: number;
}

/** The inner part of the picture, in pixels. */
export interface Plot {
  width: number;
  height: number;
}

export type Side = 'right' | 'left' | 'top' | 'bottom';

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const SIDES: Side[] = ['right', 'left', 'top', 'bottom'];
// Of text of 12 pixels; a little wide, so that a name is rather left out than drawn over another.
const LETTER = 6.8;
const LINE = 15;
const GAP = 7;
const DOT = 5;
/** Beyond these nobody reads names, and the search would take its time. */
const NAMES_MAX = 200;

/** The side for each point's name, in the points' order; `null` where every side is taken, so that the name is only told on the point. */
export function sidesOfNames(points: NamedPoint[], plot: Plot): (Side | null)[] {
  if (points.length > NAMES_MAX) return points.map(() => null);
  const across = scale(points.map((point) => point.x), plot.width);
  const down = scale(points.map((point) => point.y), plot.height);
  const places = points.map((point) => ({ x: across(point.x), y: plot.height - down(point.y), width: point.name.length * LETTER }));
  const taken: Box[] = places.map(({ x, y }) => ({ left: x - DOT, right: x + DOT, top: y - DOT, bottom: y + DOT }));
  return places.map((place, own) => {
    const free = SIDES.find((side) => {
      const box = boxAt(side, place);
      return box.left >= -GAP && box.right <= plot.width + GAP && box.top >= -LINE && box.bottom <= plot.height + LINE / 2
        && !taken.some((other, index) => index !== own && meet(box, other));
    });
    if (free) taken.push(boxAt(free, place));
    return free ?? null;
  });
}

function boxAt(side: Side, { x, y, width }: { x: number; y: number; width: number }): Box {
  if (side === 'right') return { left: x + GAP, right: x + GAP + width, top: y - LINE / 2, bottom: y + LINE / 2 };
  if (side === 'left') return { left: x - GAP - width, right: x - GAP, top: y - LINE / 2, bottom: y + LINE / 2 };
  const box = { left: x - width / 2, right: x + width / 2 };
  return side === 'top' ? { ...box, top: y - GAP - LINE, bottom: y - GAP } : { ...box, top: y + GAP, bottom: y + GAP + LINE };
}

function meet(one: Box, other: Box): boolean {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

/** From a value to pixels, along an axis that ends at round numbers. */
function scale(values: number[], pixels: number): (value: number) => number {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const step = niceStep((most - least) / 5 || 1);
  const low = Math.floor(least / step) * step;
  const high = Math.max(low + step, Math.ceil(most / step) * step);
  return (value) => ((value - low) / (high - low)) * pixels;
}
