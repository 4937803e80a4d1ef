import { useEffect, useMemo, useRef, useState } from 'react';

import { WithDetail } from '../../../components/DetailPanel';
import { shortTime } from '../../../lib/explain';
import { count, plural } from '../../../lib/format';
import { type Plan, unfolded } from '../../../lib/plan';
import { NodeDetail } from './NodeDetail';
import { NodeRow } from './NodeRow';
import { type Move, treeKey } from './treeKeys';
import classes from './PlanTree.module.css';

/** Levels are this far apart, and nearer in a deep plan. */
const STEP_MAX = 18;
const STEP_MIN = 6;
const INDENT_MAX = 260;

/** The operators of a plan, each under the one that takes its rows. */
export function PlanTree({ plan, change }: { plan: Plan; change: string | null }) {
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  const [current, setCurrent] = useState(0);
  const [open, setOpen] = useState(false);
  const tree = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => unfolded(plan.nodes, folded), [plan, folded]);
  const step = useMemo(() => {
    const deepest = Math.max(1, ...plan.nodes.map((node) => node.level));
    return Math.max(STEP_MIN, Math.min(STEP_MAX, Math.floor(INDENT_MAX / deepest)));
  }, [plan]);

  const rowOf = (index: number): HTMLElement | null => tree.current?.querySelector<HTMLElement>(`[data-node="${index}"]`) ?? null;

  // The detail takes room from the tree.
  useEffect(() => {
    const row = rowOf(current);
    if (open && row) reveal(row);
  }, [open, current]);

  const focus = (index: number): void => {
    setCurrent(index);
    const row = rowOf(index);
    row?.focus({ preventScroll: true });
    if (row) reveal(row);
  };
  const fold = (index: number, away: boolean): void => {
    const next = new Set(folded);
    if (away) next.add(index);
    else next.delete(index);
    setFolded(next);
  };
  const close = (): void => {
    setOpen(false);
    focus(current);
  };
  const act = (move: Move, at: number): void => {
    if (move.kind === 'focus') focus(move.index);
    else if (move.kind === 'fold' || move.kind === 'unfold') fold(move.index, move.kind === 'fold');
    else if (move.kind === 'open') setOpen(!(open && at === current));
    else if (open) close();
  };

  const selected = open ? plan.nodes[current] : undefined;
  const measured = plan.nanos !== null;
  return (
    <WithDetail detail={selected && <NodeDetail node={selected} onClose={close} />}>
      <div className={classes.view} data-measured={measured || undefined} style={{ '--step': `${step}px` } as React.CSSProperties}>
        <div className={classes.columns}>
          <p className={`num ${classes.facts}`}>
            {change && <span className={classes.change}>{change}</span>}
            <span>{plural(plan.nodes.length, 'operator')}</span>
            {plan.nanos !== null && <span title="The time of all operators, in all threads together">{shortTime(plan.nanos)} of work</span>}
          </p>
          {measured && <span aria-hidden="true">Rows</span>}
          {measured && <span aria-hidden="true">Work</span>}
        </div>
        <div
          ref={tree}
          role="tree"
          aria-label={`Plan, ${count(plan.nodes.length)} operators`}
          onKeyDown={(event) => {
            // A screen reader moves the focus, too, without a key.
            const node = plan.nodes[Number((event.target as HTMLElement).dataset.node ?? current)];
            const move = node && !event.ctrlKey && !event.metaKey && !event.altKey ? treeKey(event.key, node, shown, folded) : null;
            if (!node || !move || (move.kind === 'close' && !open)) return;
            event.preventDefault();
            event.stopPropagation();
            setCurrent(node.index);
            act(move, node.index);
          }}
        >
          {shown.map((node) => (
            <NodeRow
              key={node.index}
              node={node}
              siblings={node.parent === null ? [node.index] : (plan.nodes[node.parent]?.children ?? [])}
              folded={folded.has(node.index)}
              current={node.index === current}
              open={open && node.index === current}
              measured={measured}
              onOpen={() => {
                setOpen(!(open && node.index === current));
                focus(node.index);
              }}
              onFold={() => {
                // What has the focus may go with it.
                fold(node.index, !folded.has(node.index));
                focus(node.index);
              }}
            />
          ))}
        </div>
      </div>
    </WithDetail>
  );
}

/** Scrolls the tree, and nothing around it, until a row is in view below the names of the columns. */
function reveal(row: HTMLElement): void {
  const box = row.offsetParent;
  const head = box?.firstElementChild;
  if (!box || !(head instanceof HTMLElement)) return;
  const top = row.offsetTop - head.offsetHeight;
  const bottom = row.offsetTop + row.offsetHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}
