import { Skeleton, SkeletonRows } from './Skeleton';

/** A page whose code is on its way. */
export function PageSkeleton() {
  return (
    <div style={{ padding: '24px 32px', maxWidth: 1440, margin: '0 auto' }}>
      <Skeleton width={180} height={24} />
      <div style={{ height: 32 }} />
      <SkeletonRows rows={8} />
    </div>
  );
}
