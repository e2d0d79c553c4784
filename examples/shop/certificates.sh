#!/bin/sh
# Make an authority and a certificate for everybody who needs one, once; again when one of them is about to end.
#
# The authority's key stays in a volume that nobody else mounts. Keys are PKCS#8, which is all that Logstash reads.

set -eu
umask 077

AUTHORITY=${AUTHORITY:-/authority}
CERTIFICATES=${CERTIFICATES:-/certificates}
TRUST=${TRUST:-/trust}
RENEW_S=$((30 * 24 * 3600))

# File, days: whether there is a certificate that will do for a while.
lasts() {
    [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend "$RENEW_S" >/dev/null 2>&1
}

new_key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

authority() {
    lasts "$AUTHORITY/ca.crt" && return
    echo "making the authority"
    new_key "$AUTHORITY/ca.key"
    openssl req -x509 -new -sha256 -key "$AUTHORITY/ca.key" -days 1825 -subj "/O=clusterlog/CN=clusterlog stack" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -out "$AUTHORITY/ca.crt"
    rm -f "$CERTIFICATES"/*.crt
}

# Name, names: a key and a certificate of this name for these names.
certificate() {
    lasts "$CERTIFICATES/$1.crt" && return
    echo "making the certificate of $1"
    new_key "$CERTIFICATES/$1.key"
    openssl req -new -sha256 -key "$CERTIFICATES/$1.key" -subj "/O=clusterlog/CN=$1" \
        -addext "subjectAltName=$2" -addext "basicConstraints=critical,CA:FALSE" \
        -addext "keyUsage=critical,digitalSignature" -addext "extendedKeyUsage=serverAuth,clientAuth" \
        -out "$CERTIFICATES/$1.csr"
    openssl x509 -req -sha256 -in "$CERTIFICATES/$1.csr" -CA "$AUTHORITY/ca.crt" -CAkey "$AUTHORITY/ca.key" \
        -CAcreateserial -copy_extensions copyall -days 825 -out "$CERTIFICATES/$1.new" 2>/dev/null
    rm "$CERTIFICATES/$1.csr"
    chmod 640 "$CERTIFICATES/$1.key"
    mv "$CERTIFICATES/$1.new" "$CERTIFICATES/$1.crt"
}

authority
certificate elasticsearch \
    DNS:elasticsearch,DNS:elasticsearch-2,DNS:elasticsearch-3,DNS:localhost,IP:127.0.0.1
certificate opensearch DNS:opensearch,DNS:localhost,IP:127.0.0.1
certificate logstash DNS:logstash,DNS:localhost,IP:127.0.0.1
certificate clusterlog DNS:clusterlog
cp "$AUTHORITY/ca.crt" "$CERTIFICATES/ca.crt"
cp "$AUTHORITY/ca.crt" "$TRUST/ca.crt"
chmod 644 "$CERTIFICATES"/*.crt "$TRUST/ca.crt"
