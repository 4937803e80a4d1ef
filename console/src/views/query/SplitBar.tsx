import classes from './SplitBar.module.css';

interface Props {
  /** The editor's share of the height, 0 to 1. */
  value: number;
  onChange: (value: number) => void;
}

const clamp = (value: number): number => Math.max(0.14, Math.min(0.8, value));

/** The edge between editor and results; moves by dragging and by the arrow keys. */
export function SplitBar({ value, onChange }: Props) {
  const onPointerDown = (event: React.PointerEvent<HTMLDivElement>): void => {
    const bar = event.currentTarget;
    const height = bar.parentElement?.clientHeight ?? 1;
    const start = event.clientY;
    bar.setPointerCapture(event.pointerId);
    bar.onpointermove = (move) => onChange(clamp(value + (move.clientY - start) / height));
    bar.onpointerup = () => {
      bar.onpointermove = null;
      bar.onpointerup = null;
    };
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const move = event.key === 'ArrowUp' ? -0.04 : event.key === 'ArrowDown' ? 0.04 : 0;
    if (move !== 0) {
      event.preventDefault();
      onChange(clamp(value + move));
    }
  };
  return (
    <div
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the editor"
      aria-valuenow={Math.round(value * 100)}
      aria-valuemin={14}
      aria-valuemax={80}
      tabIndex={0}
      className={classes.bar}
      onPointerDown={onPointerDown}
      onKeyDown={onKeyDown}
    />
  );
}
