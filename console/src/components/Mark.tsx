/** The mark: land, a dike, and the water beside it. */
export function Mark({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" style={{ flex: 'none' }}>
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path d="M7.5 10.5h17" stroke="var(--on-accent)" strokeWidth="2.8" strokeLinecap="round" />
      <path d="M7.5 16.2h10.5" stroke="var(--on-accent)" strokeOpacity="0.7" strokeWidth="2.8" strokeLinecap="round" />
      <path d="M7.5 22.4c1.9-1.7 3.8-1.7 5.7 0s3.8 1.7 5.7 0 3.7-1.7 5.6 0" fill="none" stroke="var(--on-accent)" strokeOpacity="0.85" strokeWidth="2.2" strokeLinecap="round" />
    </svg>
  );
}
