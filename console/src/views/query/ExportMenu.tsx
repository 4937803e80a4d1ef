import { ActionIcon, Menu } from '@mantine/core';

import { saveChart, saveCsv } from '../../components/chart/exports';
import { IconDownload } from '../../components/icons';
import type { ResultSet } from '../../lib/result';
import { type QueryTab, titleOf } from '../../services/tabs';
import { drawnChart } from './drawn';

/** Files from a result; pictures when a chart is shown. */
export function ExportMenu({ result, tab, picture }: { result: ResultSet; tab: QueryTab; picture: boolean }) {
  const title = titleOf(tab);
  const save = (format: 'svg' | 'png') => () => {
    const chart = drawnChart.current;
    if (chart) void saveChart(chart, title, format);
  };
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon aria-label="Export">
          <IconDownload size={16} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => saveCsv(result, title)}>Save as CSV</Menu.Item>
        {picture && <Menu.Item onClick={save('png')}>Save chart as PNG</Menu.Item>}
        {picture && <Menu.Item onClick={save('svg')}>Save chart as SVG</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
