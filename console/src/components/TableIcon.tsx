import { IconEye, IconTable } from './icons';

export function TableIcon({ kind, size = 16 }: { kind: 'table' | 'view'; size?: number }) {
  const Icon = kind === 'view' ? IconEye : IconTable;
  return <Icon size={size} stroke={1.6} color="var(--text-3)" style={{ flex: 'none' }} role="img" aria-label={kind === 'view' ? 'View' : 'Table'} />;
}
