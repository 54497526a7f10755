module github.com/recall-milter/recall-milter

go 1.26

