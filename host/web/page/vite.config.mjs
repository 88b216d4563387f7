import vue from '@vitejs/plugin-vue'
import { PurgeCSS } from 'purgecss'
import { defineConfig } from 'vite'
import { licencesOf } from './scripts/licences.mjs'

/** Keeps of Tabler's styles those that the page can use: 80 kB become about 12. */
function purgedStyles() {
  return {
    name: 'purged-styles',
    apply: 'build',
    enforce: 'post',
    async generateBundle(_, bundle) {
      for (const asset of Object.values(bundle)) {
        if (asset.type !== 'asset' || !asset.fileName.endsWith('.css')) continue
        const [purged] = await new PurgeCSS().purge({
          content: ['index.html', 'src/**/*.vue', 'src/**/*.ts'],
          css: [{ raw: String(asset.source) }],
          defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
          safelist: { standard: [/^u-/, /^sgr-/, /^uplot/, /^data-bs-theme/, 'body', 'html'], greedy: [/data-bs-theme/] },
          keyframes: true,
          fontFace: true,
          variables: true,
        })
        asset.source = purged.css
      }
    },
  }
}

/** Writes the licences of what is in the bundle beside it. */
function licences() {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => Object.entries(chunk.modules ?? {}))
      const used = modules.filter(([, module]) => module.renderedLength > 0).map(([id]) => id)
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: licencesOf(used) })
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [vue(), purgedStyles(), licences()],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    target: 'es2022',
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // Names without hashes: a change of one file changes one file in the repository.
        entryFileNames: 'assets/[name].js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
        codeSplitting: {
          groups: [
            { name: 'vendor', test: /node_modules[\\/](@vue|vue|vue-router|pinia)[\\/]/ },
            { name: 'uplot', test: /node_modules[\\/]uplot[\\/]/ },
            { name: 'virtual', test: /node_modules[\\/]@tanstack[\\/]/ },
            // Small parts of several pages: one file rather than one each.
            { name: 'icons', test: /node_modules[\\/]@tabler[\\/]icons-vue[\\/]/ },
            { name: 'parts', test: /src[\\/](lib[\\/](clock|format|opener|states)|components[\\/](FormBox|LinkText|PageHead|ProcessActions|SearchBox|TabBar|TaskCost))/ },
          ],
        },
      },
    },
  },
  test: { include: ['test/**/*.test.ts'], environment: 'node' },
})
