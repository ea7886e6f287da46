#!/usr/bin/env bash
# Checks the types in the console's JavaScript by its JSDoc comments. TypeScript is installed, pinned, into a folder
# that is removed afterwards; nothing of it is needed to build or run the package.
set -euo pipefail
cd "$(dirname "$0")/.."
typescript=7.0.2
if ! command -v npm > /dev/null; then
    echo 'console types: skipped, as npm is missing'
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts --silent "typescript@$typescript" > "$folder/log" 2>&1; then
    echo "console types: skipped, as npm could not install typescript $typescript:"
    tail -n 3 "$folder/log"
    exit 0
fi
cat > "$folder/tsconfig.json" << JSON
{
  "compilerOptions": {
    "allowJs": true, "checkJs": true, "noEmit": true, "noUnusedLocals": true, "strict": true, "noImplicitAny": false,
    "strictNullChecks": false, "useUnknownInCatchVariables": false, "target": "esnext", "module": "esnext",
    "moduleResolution": "bundler", "lib": ["esnext", "dom", "dom.iterable"], "types": []
  },
  "include": ["$PWD/chroma/console/static/*.js", "$PWD/chroma/console/static/pages/*.js"]
}
JSON
# The files of others are checked by their authors.
found=$("$folder/node_modules/.bin/tsc" -p "$folder/tsconfig.json" --pretty false | grep 'error TS' | grep -v 'static/vendor/' || true)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
echo "console types: no errors"
