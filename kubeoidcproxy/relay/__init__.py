"""The relay: one client connection, its requests one after the other, each with one upstream connection.

Decisions (no Twisted):

=========== =========================================================================================================
rewrite     the client's head, less credentials and hops, plus ours: and the last look at the finished bytes (law 1)
responses   a refusal as the bytes of a ``v1.Status`` answer (law 12)
actions     what the machine asks its shell to do
answer      the answer of one exchange, as it comes: interim heads, the head, its body
connection  the machine of one client connection: inputs in the past tense, actions out; its states in one table
=========== =========================================================================================================

Edges:

=========== =========================================================================================================
protocol    the Twisted protocol around the machine: performs actions, keeps deadlines
tunnel      after a 101: two transports joined
switchboard what all connections share: gate, observers, limits, one sweep for all deadlines
registry    every open exchange, to list and to cut
=========== =========================================================================================================
"""
