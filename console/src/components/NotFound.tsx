import { useLocation } from 'wouter';

import { Empty } from './Empty';
import { LinkButton } from './LinkButton';
import { Page } from './Page';

export function NotFound() {
  const [path] = useLocation();
  return (
    <Page title="Not found" narrow>
      <Empty text={`There is no page at ${path}. It may have moved, or its table was dropped.`} action={<LinkButton href="/data">See all tables</LinkButton>} />
    </Page>
  );
}
