import { useParams, useSearch } from 'wouter';

import { LoadTarget } from '../../components/LoadTarget';
import { Page } from '../../components/Page';
import { Preview } from './Preview';
import type { PreviewSource } from '../../services/api';

/** A file on its way into the lake: chosen here, or already sent and previewed. */
export default function Load() {
  const { upload } = useParams<{ upload?: string }>();
  const source = new URLSearchParams(useSearch()).get('source');
  const from: PreviewSource | null = upload ? { upload_id: upload } : source ? { source } : null;
  if (from) return <Preview key={upload ?? source} from={from} />;
  return (
    <Page title="Load a file" above={[{ name: 'Data', href: '/data' }]} description="You see what was found in it, and correct it, before anything is loaded." narrow>
      <LoadTarget />
    </Page>
  );
}
