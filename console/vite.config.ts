import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.POLDER_URL ?? 'http://127.0.0.1:7400';

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    target: 'es2022',
    // One request more, but the script policy of the server allows no inline script.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What many pages share comes in a few files, not in one for each icon. Nothing here may import Arrow, which is lazy, or what brings a large part of Mantine along.
          groups: [
            { name: 'icons', test: /@tabler/ },
            { name: 'shared', test: /src\/(components\/(?!Dialog)[^/]+|lib\/(clipboard|format|link|params|rank|sql|store)\.ts|services\/(api|client|hooks|own|tabs)\.ts)$/, minShareCount: 4 },
          ],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    port: 5173,
    // The session cookie is same-site, so the API is reached through this server while developing.
    proxy: { '/api': server, '/healthz': server },
  },
});
