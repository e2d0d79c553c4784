module clusterlog/lumberjack

go 1.21

require (
	github.com/elastic/go-lumber v0.1.0
	github.com/klauspost/compress v1.17.11
)
