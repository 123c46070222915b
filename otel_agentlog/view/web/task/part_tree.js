// Hides how a tree stands in a flat list: every part after the one it belongs to, with its depth. No part is drawn here.

export const UNSUCCESSFUL = new Set(["failed", "timed_out", "interrupted"]);

export const isBad = (part) => UNSUCCESSFUL.has(part.status);

export const idOf = (part) => part.span_id ?? `sub-task ${part.details?.task_id}`;

/**
 * The parts to show: none that stand in a folded one; with `wanted`, those that it accepts and all that these stand in.
 * `rows` has each with its place among its siblings.
 */
export function visible(tree, folded, wanted) {
  const kept = wanted ? withAncestors(tree, wanted) : tree;
  const shown = [];
  let below = Infinity;
  for (const part of kept) {
    if (part.depth > below) continue;
    below = folded.has(idOf(part)) ? part.depth : Infinity;
    shown.push(part);
  }
  return { shown, places: placesOf(shown) };
}

function withAncestors(tree, wanted) {
  const kept = [];
  let ancestor = -1;
  for (let index = tree.length - 1; index >= 0; index--) {
    const part = tree[index];
    if (part.depth > ancestor && !wanted(part)) continue;
    kept.push(part);
    ancestor = part.depth - 1;
  }
  return kept.reverse();
}

/** For each part its number among its siblings, and how many they are. */
function placesOf(parts) {
  const found = new Map();
  const open = [];
  for (const part of parts) {
    open.length = Math.min(open.length, part.depth + 1);
    const siblings = (open[part.depth] ??= { size: 0 });
    siblings.size += 1;
    found.set(part, { number: siblings.size, siblings });
  }
  return found;
}

/** The parts with others in them. */
export function parentsIn(tree) {
  const found = new Set();
  for (let index = 1; index < tree.length; index++) if (tree[index].depth > tree[index - 1].depth) found.add(tree[index - 1]);
  return found;
}

/** What a part stands in, the nearest first. */
export function ancestors(tree, part) {
  const found = [];
  let depth = part.depth;
  for (let index = tree.indexOf(part) - 1; index >= 0 && depth > 0; index--) {
    if (tree[index].depth >= depth) continue;
    found.push(tree[index]);
    depth = tree[index].depth;
  }
  return found;
}

/** Where it went wrong: the parts that did not succeed and have no such part in them. */
export function faults(tree) {
  const found = [];
  let ancestor = -1;
  for (let index = tree.length - 1; index >= 0; index--) {
    const part = tree[index];
    const holdsOne = part.depth <= ancestor;
    if (holdsOne) ancestor = part.depth - 1;
    else if (isBad(part)) {
      found.push(part);
      ancestor = part.depth - 1;
    }
  }
  return found.reverse();
}

/** The part by which a task failed: the innermost with its error; else the last fault. */
export function failingPart(tree, error) {
  const same = (exception) => (error?.error_id && exception?.error_id === error.error_id) || (exception?.type === error?.type && exception?.message === error?.message);
  const having = error ? tree.filter((part) => isBad(part) && part.exception && same(part.exception)) : [];
  return having.reduce((best, part) => (best && best.depth > part.depth ? best : part), null) ?? faults(tree).at(-1) ?? null;
}
