module tlsecho

go 1.21
