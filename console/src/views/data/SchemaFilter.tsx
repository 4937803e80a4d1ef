import { SegmentedControl, Select } from '@mantine/core';

import type { CatalogSchema } from '../../services/types';

interface Props {
  schemas: CatalogSchema[];
  value: string;
  onChange: (schema: string) => void;
}

/** One schema or all. */
export function SchemaFilter({ schemas, value, onChange }: Props) {
  const options = [{ value: '', label: 'All schemas' }, ...schemas.map((schema) => ({ value: schema.name, label: schema.name }))];
  if (schemas.length <= 4) return <SegmentedControl aria-label="Schema" data={options} value={value} onChange={onChange} />;
  return <Select aria-label="Schema" data={options} value={value} onChange={(next) => onChange(next ?? '')} allowDeselect={false} searchable />;
}
