import { IconChevronDown, IconChevronRight } from '../../../components/icons';
import { rowsText, shortTime, telling } from '../../../lib/explain';
import { percent } from '../../../lib/format';
import type { PlanNode, RowCount } from '../../../lib/plan';
import classes from './PlanTree.module.css';

interface Props {
  node: PlanNode;
  /** The places of the nodes beside it, and its own. */
  siblings: number[];
  folded: boolean;
  current: boolean;
  open: boolean;
  measured: boolean;
  onOpen: () => void;
  onFold: () => void;
}

/** More than this is never seen on one line. */
const TOLD_MAX = 400;

/** One operator on one line. */
export function NodeRow({ node, siblings, folded, current, open, measured, onOpen, onFold }: Props) {
  const told = telling(node);
  const short = told.length > TOLD_MAX ? `${told.slice(0, TOLD_MAX)}…` : told;
  const parted = node.children.length > 0;
  return (
    <div
      role="treeitem"
      aria-level={node.level + 1}
      aria-setsize={siblings.length}
      aria-posinset={siblings.indexOf(node.index) + 1}
      aria-expanded={parted ? !folded : undefined}
      aria-selected={open}
      tabIndex={current ? 0 : -1}
      data-node={node.index}
      data-heavy={node.heavy || undefined}
      className={classes.node}
      onClick={onOpen}
    >
      <span className={classes.operator} style={{ '--level': node.level } as React.CSSProperties}>
        <span className={classes.indent} />
        {/* With the keys the arrows fold and unfold. */}
        <span
          className={classes.fold}
          data-parted={parted || undefined}
          onClick={(event) => {
            if (!parted) return;
            event.stopPropagation();
            onFold();
          }}
        >
          {parted && (folded ? <IconChevronRight size={14} /> : <IconChevronDown size={14} />)}
        </span>
        <span className={classes.name}>{node.name}</span>
        <span className={classes.told}>{short}</span>
      </span>
      {measured && <span className={classes.rows}>{node.rows && <Counted rows={node.rows} />}</span>}
      {measured && (
        <span className={classes.work}>
          {node.nanos !== null && (
            <>
              <span className={classes.track}>
                <span className={classes.bar} style={{ width: `${(node.share ?? 0) * 100}%` }} />
              </span>
              <span className={classes.time}>{shortTime(node.nanos)}</span>
              {node.share !== null && <Said text={`${percent(node.share, 1)} of the work`} />}
            </>
          )}
        </span>
      )}
    </div>
  );
}

/** What a bar and a column's name say to the eye. */
function Said({ text }: { text: string }) {
  return <span className="hidden-visually">{text}</span>;
}

function Counted({ rows }: { rows: RowCount }) {
  return (
    <>
      {rowsText(rows)} <Said text={rows.value === 1 ? 'row' : 'rows'} />
    </>
  );
}
