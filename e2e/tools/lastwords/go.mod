module github.com/fairway-dev/fairway/e2e/tools/lastwords

go 1.26.0
